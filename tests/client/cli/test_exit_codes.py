"""How commands end: exit codes, and errors that say what to do."""

import grpc
import pytest
from defuse.messages import Audit, Evaluation, Failure
from defuse.v1.audit_service_pb2 import ListAuditsResponse, WatchAuditResponse
from defuse.v1.promotion_service_pb2 import WatchEvaluationResponse

from tests.client.fake_server import Refusal


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("audit",),
        ("audit", "start"),
        ("audit", "start", "--seed", "x"),
        ("audit", "list", "--state", "nonsense"),
        ("audit", "regions", "audits/a", "--follow", "--confirmed-only"),
        ("watch", "classifiers/c"),
        ("push", "classifier", "/there/is/none.onnx"),
        ("gate", "--unknown"),
        ("--address", "http://localhost", "audit", "list"),
        ("label",),
        ("label", "export", "audits/a"),
        ("label", "export", "audits/a", "-o", "tasks.xls"),
        ("label", "export", "audits/a", "-o", "tasks.json", "--format", "xls"),
        ("label", "import", "audits/a"),
        ("label", "import", "audits/a", "/there/is/none.json"),
        ("label", "audits/a", "--nonsense"),
        ("label", "audits/a", "import"),
        ("verify-evidence", "/there/is/none.json", "--key", "/there/is/none.pub"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_64_and_explained(command, arguments):
    ran = command(*arguments)
    assert ran.code == 64
    assert ran.err
    assert "Traceback" not in ran.err


def test_wrong_usage_points_to_the_help(command):
    assert "`defuse audit start --help`" in command("audit", "start").err


@pytest.mark.parametrize(
    ("group", "word"), [((), "verify-evidence"), (("gate",), "--json"), (("label",), "import")]
)
def test_help_is_no_error(command, group, word):
    ran = command(*group, "--help")
    assert (ran.code, word in ran.out) == (0, True)


def test_no_server_is_69_and_stdout_stays_empty(command):
    ran = command("--address", "127.0.0.1:1", "--timeout-s", "2", "audit", "list")
    assert (ran.code, ran.out) == (69, "")
    assert "trying again" in ran.err
    assert "DEFUSE_ADDRESS" in ran.err


def test_a_name_that_is_not_there_is_66_with_what_failed_why_and_what_to_do(command, server):
    missing = Refusal(grpc.StatusCode.NOT_FOUND, "audits/a does not exist", reason="RESOURCE_NOT_FOUND")
    server.on("AuditService/GetAudit", missing)
    ran = command("audit", "status", "audits/a", "--json")
    assert (ran.code, ran.out) == (66, "")
    assert "defuse audit status failed: RESOURCE_NOT_FOUND: audits/a does not exist" in ran.err
    assert "defuse list audits" in ran.err


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("INVALID_ARGUMENT", "INVALID_FIELD", 64),
        ("INVALID_ARGUMENT", "IMPORT_UNREADABLE", 65),
        ("DATA_LOSS", "DIGEST_MISMATCH", 65),
        ("NOT_FOUND", "RESOURCE_NOT_FOUND", 66),
        ("FAILED_PRECONDITION", "WRONG_STATE", 70),
        ("INTERNAL", "INTERNAL", 70),
    ],
)
def test_a_script_tells_its_own_mistakes_from_the_services(command, server, status, reason, code):
    server.on("AuditService/GetAudit", Refusal(grpc.StatusCode[status], "told", reason=reason))
    assert command("audit", "status", "audits/a").code == code


def test_an_unexpected_error_is_70_without_a_traceback(command, server, monkeypatch):
    monkeypatch.setattr("defuse.cli.audit.write_audits", lambda audits: 1 / 0)
    server.on("AuditService/ListAudits", ListAuditsResponse())
    ran = command("audit", "list")
    assert ran.code == 70
    assert "ZeroDivisionError" in ran.err
    assert "Traceback" not in ran.err


def test_a_failed_job_is_70_with_its_reason_and_figures(command, server, audit):
    failure = Failure(reason=51, message="the classifier can't read them", figures={"readability": "0.31"})
    server.on("AuditService/WatchAudit", [WatchAuditResponse(audit=audit("FAILED", failure=failure))])
    ran = command("audit", "watch", "audits/a")
    assert ran.code == 70
    assert "PREFLIGHT_READABILITY: the classifier can't read them" in ran.err
    assert "readability = 0.31" in ran.err


def test_an_evaluation_that_could_not_be_made_is_no_fail(command, server):
    failed = Evaluation(name="evaluations/e", state=4, failure=Failure(reason=54, message="died three times"))
    server.on("PromotionService/CreateEvaluation", Evaluation(name="evaluations/e"))
    server.on("PromotionService/WatchEvaluation", [WatchEvaluationResponse(evaluation=failed)])
    ran = command(
        "gate", "--baseline", "classifiers/b", "--candidate", "classifiers/c", "--audit", "audits/a"
    )
    assert ran.code == 70
    assert "WORKER_DIED" in ran.err


def test_a_wrong_name_is_told_once(command, server):
    told = "there is no 'audits/nope': expected audits/{id} with an id of 18 digits and lower-case letters"
    wrong = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, f"name: {told}", reason="INVALID_FIELD", fields=[("name", told)]
    )
    server.on("AuditService/GetAudit", wrong)
    ran = command("audit", "status", "audits/nope")
    assert (ran.code, ran.err.strip()) == (64, f"defuse audit status failed: INVALID_FIELD: name: {told}")


def test_fields_that_a_message_has_no_room_for_are_told(command, server):
    fields = [("config.tau", "expected (0, 1], got 2")]
    wrong = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "wrong", reason="INVALID_FIELD", fields=fields)
    server.on("AuditService/GetAudit", wrong)
    assert "config.tau: expected (0, 1], got 2" in command("audit", "status", "audits/a").err


def test_no_line_of_a_table_in_a_pipe_ends_with_spaces(command, server):
    long = Audit(name="audits/a", display_name="x" * 300)
    server.on("AuditService/ListAudits", ListAuditsResponse(audits=[long, Audit(name="audits/b")]))
    lines = command("audit", "list").out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert "x" * 300 in lines[1]

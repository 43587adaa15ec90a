"""The command line: exit codes, one JSON document a line on stdout, and errors that say what to do."""

import grpc
import pytest
from defuse.messages import (
    Artifact,
    Check,
    Classifier,
    Correction,
    CorrectionPoint,
    Evaluation,
    Failure,
    Misclassification,
    Region,
    RegionState,
    RegistrationState,
    Verdict,
)
from defuse.v1.audit_service_pb2 import (
    ListAuditsResponse,
    ListRegionsResponse,
    StreamMisclassificationsResponse,
    WatchAuditResponse,
)
from defuse.v1.correction_service_pb2 import WatchCorrectionResponse
from defuse.v1.promotion_service_pb2 import WatchEvaluationResponse

SUCCEEDED = 3


def start_options():
    return ("--classifier", "classifiers/c", "--vae", "vaes/v", "--dataset", "datasets/d")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("audit",),
        ("audit", "start"),
        ("audit", "start", "--seed", "x"),
        ("audit", "list", "--state", "nonsense"),
        ("watch", "classifiers/c"),
        ("push", "classifier", "/there/is/none.onnx"),
        ("gate", "--unknown"),
        ("--address", "http://localhost", "audit", "list"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_64_and_says_where_help_is(command, arguments):
    ran = command(*arguments)
    assert ran.code == 64
    assert ran.err
    assert "Traceback" not in ran.err


def test_help_is_no_error(command):
    assert command("--help").code == 0
    assert "--json" in command("gate", "--help").out


def test_no_server_is_69(command):
    ran = command("--address", "127.0.0.1:1", "--timeout-s", "0.3", "audit", "list")
    assert ran.code == 69
    assert ran.out == ""
    assert "trying again" in ran.err
    assert "DEFUSE_ADDRESS" in ran.err


def test_a_refusal_is_70_with_what_failed_why_and_what_to_do(command, server, refusal):
    server.on(
        "AuditService/GetAudit",
        refusal(grpc.StatusCode.NOT_FOUND, "audits/a does not exist", reason="RESOURCE_NOT_FOUND"),
    )
    ran = command("audit", "status", "audits/a", "--json")
    assert (ran.code, ran.out) == (70, "")
    assert "defuse audit status failed: RESOURCE_NOT_FOUND: audits/a does not exist" in ran.err
    assert "defuse audit list" in ran.err


def test_an_unexpected_error_shows_no_traceback(command, server, monkeypatch):
    monkeypatch.setattr("defuse.cli.audit.write_audits", lambda audits: 1 / 0)
    server.on("AuditService/ListAudits", ListAuditsResponse())
    ran = command("audit", "list")
    assert ran.code == 70
    assert "ZeroDivisionError" in ran.err
    assert "Traceback" not in ran.err


def test_push_prints_the_ready_model(command, server, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    server.on("ArtifactService/GetArtifact", Artifact(name="artifacts/0"))
    ready = RegistrationState.REGISTRATION_STATE_READY
    made = Classifier(name="classifiers/c", state=ready, class_count=10)
    server.on("RegistryService/RegisterClassifier", made)
    ran = command("push", "classifier", str(path), "--scale", "255", "--mean", "1", "--mean", "2", "--json")
    assert (ran.code, ran.err) == (0, "")
    (document,) = ran.json
    assert (document["name"], document["class_count"]) == ("classifiers/c", 10)
    (request,) = server.asked("RegistryService/RegisterClassifier")
    assert (request.preprocessing.scale, list(request.preprocessing.mean)) == (255, [1, 2])
    assert "classifiers/c" in command("push", "classifier", str(path)).out


def test_a_watched_audit_is_a_line_of_json_for_each_change(command, server, audit):
    server.on("AuditService/CreateAudit", audit("QUEUED"))
    states = ("RUNNING", "SUCCEEDED")
    server.on("AuditService/WatchAudit", [WatchAuditResponse(audit=audit(state)) for state in states])
    ran = command("audit", "start", *start_options(), "--preset", "paper", "--watch", "--json")
    assert ran.code == 0
    assert [line["state"] for line in ran.json] == ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]
    assert server.asked("AuditService/CreateAudit")[0].config.preset == 2


def test_a_failed_job_is_70_with_its_reason_and_figures(command, server, audit):
    failure = Failure(reason=51, message="the classifier can't read them", figures={"readability": "0.31"})
    server.on("AuditService/WatchAudit", [WatchAuditResponse(audit=audit("FAILED", failure=failure))])
    ran = command("audit", "watch", "audits/a")
    assert ran.code == 70
    assert "PREFLIGHT_READABILITY: the classifier can't read them" in ran.err
    assert "readability = 0.31" in ran.err


def test_status_and_list_show_counts_and_times(command, server, audit):
    one = audit("RUNNING", misclassification_count=1234)
    one.times.create_time.seconds = 1_700_000_000
    server.on("AuditService/GetAudit", one)
    server.on("AuditService/ListAudits", ListAuditsResponse(audits=[one]))
    for arguments in (("audit", "status", "audits/a"), ("audit", "list")):
        text = command(*arguments).out
        assert "RUNNING" in text
        assert "1234" in text
        assert "2023-11-1" in text
    (document,) = command("audit", "list", "--json").json
    assert document["audits"][0]["misclassification_count"] == "1234"


def test_findings_are_lines(command, server):
    found = [Misclassification(seed_index=seed, seed_label=1, predicted_class=7) for seed in range(3)]
    server.on(
        "AuditService/StreamMisclassifications",
        [StreamMisclassificationsResponse(misclassifications=found, cursor="c")],
    )
    assert [line["seed_index"] for line in command("audit", "findings", "audits/a", "--json").json] == [
        "0",
        "1",
        "2",
    ]
    assert len(command("audit", "findings", "audits/a", "--limit", "2").out.splitlines()) == 2


def test_regions_are_a_table_or_one_document(command, server):
    region = Region(
        name="audits/a/regions/0", seed_label=1, predicted_class=7, state=RegionState.REGION_STATE_LABELED
    )
    region.label = 1
    region.confirmed = True
    server.on("AuditService/ListRegions", ListRegionsResponse(regions=[region]))
    assert "LABELED" in command("audit", "regions", "audits/a").out
    (document,) = command("audit", "regions", "audits/a", "--confirmed-only", "--json").json
    assert document["regions"][0]["label"] == 1
    assert server.asked("AuditService/ListRegions")[-1].confirmed_only


def test_correct_waits_and_names_the_corrected_classifier(command, server):
    chosen = CorrectionPoint(validation_accuracy=0.98, region_accuracy=0.95, chosen=True)
    made = Correction(
        name="corrections/c", state=SUCCEEDED, corrected_classifier="classifiers/new", curve=[chosen]
    )
    server.on("CorrectionService/CreateCorrection", Correction(name="corrections/c"))
    server.on("CorrectionService/WatchCorrection", [WatchCorrectionResponse(correction=made)])
    server.on("CorrectionService/GetCorrection", made)
    ran = command("correct", "audits/a", "--lambda", "0.5", "--lambda", "2")
    assert ran.code == 0
    assert "classifiers/new" in ran.out
    assert "98.0%" in ran.out
    (request,) = server.asked("CorrectionService/CreateCorrection")
    assert list(request.config.lambdas) == [0.5, 2]


@pytest.mark.parametrize(
    ("verdict", "code"), [("PASS", 0), ("FAIL", 1), ("INCONCLUSIVE", 2), ("UNSPECIFIED", 70)]
)
@pytest.mark.parametrize("json_option", [(), ("--json",)], ids=["text", "json"])
def test_the_gate_exits_by_its_verdict(command, server, verdict, code, json_option):
    number = Verdict.Value(f"VERDICT_{verdict}")
    check = Check(check="clean_accuracy", verdict=number, value=-0.001, bound=-0.005, explanation="as good")
    made = Evaluation(name="evaluations/e", state=SUCCEEDED, verdict=number, checks=[check])
    server.on("PromotionService/CreateEvaluation", Evaluation(name="evaluations/e"))
    server.on("PromotionService/WatchEvaluation", [WatchEvaluationResponse(evaluation=made)])
    server.on("PromotionService/GetEvaluation", made)
    ran = command(
        "gate",
        "--baseline",
        "classifiers/b",
        "--candidate",
        "classifiers/c",
        "--audit",
        "audits/a",
        *json_option,
    )
    assert ran.code == code
    assert "clean_accuracy" in ran.out
    if json_option:
        assert ran.json[0]["verdict"] == f"VERDICT_{verdict}"


def test_an_evaluation_that_could_not_be_made_is_no_fail(command, server):
    failed = Evaluation(name="evaluations/e", state=4, failure=Failure(reason=54, message="died three times"))
    server.on("PromotionService/CreateEvaluation", Evaluation(name="evaluations/e"))
    server.on("PromotionService/WatchEvaluation", [WatchEvaluationResponse(evaluation=failed)])
    ran = command(
        "gate", "--baseline", "classifiers/b", "--candidate", "classifiers/c", "--audit", "audits/a"
    )
    assert ran.code == 70
    assert "WORKER_DIED" in ran.err

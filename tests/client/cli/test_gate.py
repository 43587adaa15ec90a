"""`defuse gate`: what it asks, what it prints, what it writes, and what ends it."""

import hashlib
import json
import re
import signal
import subprocess
import threading

import grpc
import pytest
from defuse.messages import (
    Artifact,
    Audit,
    Check,
    ClassAccuracy,
    Classifier,
    Dataset,
    Evaluation,
    Evidence,
    Failure,
    Interval,
    LabelChoice,
    LabelingFigures,
    RegionAccuracy,
    RegistrationState,
    Verdict,
)
from defuse.v1.artifact_service_pb2 import DownloadResponse
from defuse.v1.promotion_service_pb2 import WatchEvaluationResponse
from defuse.v1.registry_service_pb2 import ListClassifiersResponse

from tests.client.fake_server import Refusal

READY = RegistrationState.REGISTRATION_STATE_READY
SUCCEEDED = 3
FILES = {"junit": b"<testsuites/>", "markdown": b"## Defuse", "html": b"<html>", "envelope": b"{}"}
MODELS = ("--baseline", "classifiers/b", "--candidate", "classifiers/c")
ASKED = (*MODELS, "--audit", "audits/a")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def check(name, verdict, value, **fields):
    return Check(
        check=name, verdict=Verdict.Value(f"VERDICT_{verdict}"), value=value, at_least=True, **fields
    )


def evaluation(verdict="FAIL", **fields):
    region = "audits/a/regions/{}"
    made = Evaluation(
        name="evaluations/e",
        state=SUCCEEDED,
        audit="audits/a",
        candidate_sha256=sha256(b"model"),
        verdict=Verdict.Value(f"VERDICT_{verdict}"),
        checks=[
            check("region_accuracy", "PASS", 0.97, bound=0.9, subject=region.format(n)) for n in range(9)
        ],
        regions=[RegionAccuracy(region=region.format(n), label=n, predicted_class=0) for n in range(10)],
        evidence=Evidence(**{field: f"artifacts/{sha256(content)}" for field, content in FILES.items()}),
    )
    if verdict != "PASS":
        interval = Interval(value=0.42, lower=0.38, upper=0.46, samples=500)
        words = {"explanation": "210 of 500 samples\x1b[2J get it", "remedy": "[bold]correct[/bold] it again"}
        made.checks.append(
            check(
                "region_accuracy",
                verdict,
                0.42,
                bound=0.9,
                subject=region.format(9),
                interval=interval,
                **words,
            )
        )
    made.MergeFrom(Evaluation(**fields))
    return made


@pytest.fixture
def judged(server):
    """Let the server judge."""

    def judge(made):
        server.on("PromotionService/CreateEvaluation", Evaluation(name=made.name))
        server.on(
            "PromotionService/WatchEvaluation", lambda request: [WatchEvaluationResponse(evaluation=made)]
        )
        server.on("PromotionService/GetEvaluation", made)
        stored = {f"artifacts/{sha256(content)}": content for content in FILES.values()}
        server.on("ArtifactService/GetArtifact", lambda request: artifact(request.name, stored))
        server.on("ArtifactService/Download", lambda request: [DownloadResponse(data=stored[request.name])])

    return judge


def artifact(name, stored):
    return Artifact(name=name, sha256=name.partition("/")[2], size_bytes=len(stored[name]))


@pytest.mark.parametrize(
    ("verdict", "code"), [("PASS", 0), ("FAIL", 1), ("INCONCLUSIVE", 2), ("UNSPECIFIED", 70)]
)
def test_the_exit_code_is_the_verdict(command, judged, verdict, code):
    judged(evaluation(verdict))
    assert command("gate", *ASKED).code == code


def test_failures_come_first_with_by_how_much_they_miss(command, judged):
    judged(evaluation("FAIL"))
    headline, _, _, first, *_ = command("gate", *ASKED).out.splitlines()
    assert headline == "FAIL: these checks do not pass: region_accuracy"
    for part in ("FAIL", "region 9 (class 9, read as 0)", "0.42", "0.38 to 0.46", ">= 0.9", "0.48"):
        assert part in first


def test_many_passing_checks_of_one_name_share_a_line(command, judged):
    judged(evaluation("FAIL"))
    (folded,) = [line for line in command("gate", *ASKED).out.splitlines() if line.startswith("PASS")]
    assert "9 that pass" in folded


def test_many_failures_of_one_name_are_folded_and_one_is_explained(command, judged):
    failing = [
        check("region_accuracy", "FAIL", n / 100, bound=0.9, explanation=f"only {n} of 100")
        for n in range(50)
    ]
    made = evaluation("PASS", checks=failing)
    made.verdict = Verdict.VERDICT_FAIL
    judged(made)
    lines = command("gate", *ASKED).out.splitlines()
    assert lines[0] == "FAIL: these checks do not pass: region_accuracy (50)"
    assert len([line for line in lines if line.startswith("FAIL  ")]) == 4
    assert any("47 more" in line and "0.03 to 0.49" in line for line in lines)
    assert [line.strip() for line in lines if "of 100" in line] == ["only 0 of 100"]
    assert "49 more of these checks do not pass; --report explains all of them" in lines


def test_a_pass_tells_which_class_loses(command, judged):
    changes = {0: 0.01, 1: -0.057, 2: 0.0}
    classes = [
        ClassAccuracy(label=n, accuracy_before=0.9, accuracy_after=0.9 + by) for n, by in changes.items()
    ]
    judged(evaluation("PASS", classes=classes))
    first = command("gate", *ASKED).out.splitlines()[0]
    assert first == "PASS: all 9 checks pass, but class 1 loses 5.7 points"
    judged(evaluation("PASS"))
    assert command("gate", *ASKED).out.splitlines()[0] == "PASS: all 9 checks pass"


def test_classes_have_their_names_where_the_dataset_has_them(command, judged, server):
    server.on("AuditService/GetAudit", Audit(dataset="datasets/d"))
    named = Dataset(class_names=["zero", *(f"digit {n}" for n in range(1, 9)), "[nine]"])
    server.on("RegistryService/GetDataset", named)
    worse = check("class_accuracy", "FAIL", -0.2, bound=-0.1, subject="class 3")
    judged(evaluation("FAIL", checks=[worse]))
    text = command("gate", *ASKED).out
    assert 'region 9 (class 9 "[nine]", read as 0 "zero")' in text
    assert 'class 3 "digit 3"' in text
    judged(evaluation("PASS", classes=[ClassAccuracy(label=2, accuracy_before=0.957, accuracy_after=0.9)]))
    assert 'but class 2 "digit 2" loses 5.7 points' in command("gate", *ASKED).out.splitlines()[0]


def test_failures_are_explained_in_plain_text_whatever_their_names_hold(command, judged):
    judged(evaluation("FAIL"))
    text = command("gate", *ASKED).out
    assert "To pass: [bold]correct[/bold] it again" in text
    assert "210 of 500 samples [2J get it" in text
    assert "\x1b" not in text


def test_what_was_evaluated_is_named_by_its_digest(command, judged):
    judged(evaluation("PASS"))
    assert sha256(b"model") in command("gate", *ASKED).out


def test_the_request_has_policy_audit_and_settings(command, judged, server, tmp_path):
    judged(evaluation("PASS"))
    policy = tmp_path / "gate.yaml"
    policy.write_text("version: 1\n")
    arguments = ("--vae", "vaes/v", "--dataset", "datasets/d", "--policy", str(policy), "--seed", "7")
    assert command("gate", *MODELS, *arguments).code == 0
    (request,) = server.asked("PromotionService/CreateEvaluation")
    assert (request.audit, request.vae, request.dataset) == ("", "vaes/v", "datasets/d")
    assert (request.policy, request.config.seed) == ("version: 1\n", 7)


def test_the_labels_are_the_latest_unless_the_frozen_ones_are_asked_for(command, judged, server):
    judged(evaluation("PASS"))
    command("gate", *ASKED)
    command("gate", *ASKED, "--labels", "frozen")
    asked = [request.labels for request in server.asked("PromotionService/CreateEvaluation")]
    assert asked == [LabelChoice.LABEL_CHOICE_LATEST, LabelChoice.LABEL_CHOICE_FROZEN]


def test_the_verdict_says_which_labels_it_stands_on_and_what_they_leave_out(command, judged):
    figures = LabelingFigures(bug_count=57, unlabeled_count=15, splitting_count=3, labeled_region_count=178)
    judged(evaluation("PASS", label_set_digest="1a2b3c4d5e6f7a8b", labeling=figures))
    text = command("gate", *ASKED).out
    assert "of 178 regions, label set 1a2b3c4d5e6f" in text
    assert "3 bugs wait for their split and 12 for an answer" in text


def test_no_figure_of_a_check_has_an_exponent(command, judged):
    tiny, huge = (check("some_check", "FAIL", value, bound=1e-30) for value in (1.7e-25, 123456.0))
    judged(evaluation("FAIL", checks=[tiny, huge]))
    text = command("gate", *ASKED).out
    assert "< 0.0001" in text
    assert "123,456" in text
    assert not re.search(r"\de[-+]\d", text)


def test_without_audit_vae_and_dataset_the_service_takes_the_last_ones(command, judged, server):
    judged(evaluation("PASS"))
    assert command("gate", *MODELS).code == 0
    (request,) = server.asked("PromotionService/CreateEvaluation")
    assert (request.audit, request.vae, request.dataset) == ("", "", "")


@pytest.mark.parametrize("verdict", ["PASS", "FAIL", "INCONCLUSIVE"])
@pytest.mark.parametrize(
    ("option", "name", "field"),
    [
        ("--junit", "junit.xml", "junit"),
        ("--report", "report.html", "html"),
        ("--report", "report.md", "markdown"),
        ("--evidence", "evidence.json", "envelope"),
    ],
)
def test_files_are_written_whatever_the_verdict(command, judged, tmp_path, verdict, option, name, field):
    judged(evaluation(verdict))
    command("gate", *ASKED, option, str(tmp_path / name))
    assert (tmp_path / name).read_bytes() == FILES[field]


def test_evidence_that_nobody_signed_is_no_success(command, judged, tmp_path):
    made = evaluation("PASS")
    made.evidence.ClearField("envelope")
    judged(made)
    ran = command("gate", *ASKED, "--evidence", str(tmp_path / "e.json"), "--junit", str(tmp_path / "j.xml"))
    assert ran.code == 70
    assert "DEFUSE_SIGNING_KEY" in ran.err
    assert {path.name for path in tmp_path.iterdir()} == {"j.xml"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((*MODELS, "--vae", "vaes/v"), "--audit"),
        ((*MODELS, "--dataset", "datasets/d"), "--audit"),
        ((*ASKED, "--vae", "vaes/v", "--dataset", "datasets/d"), "--audit"),
        ((*ASKED, "--report", "report.pdf"), ".html or .md"),
        ((*ASKED, "--junit", "there/is/none/junit.xml"), "no writable folder"),
        ((*ASKED, "--no-wait", "--junit", "junit.xml"), "--no-wait"),
        ((*ASKED, "--policy", "none.yaml"), "none.yaml"),
        (("--baseline", "classifiers/b", "--candidate", "none.onnx", "--audit", "audits/a"), "none.onnx"),
    ],
)
def test_what_can_not_be_is_wrong_usage_before_anything_is_asked(
    command, server, tmp_path, monkeypatch, arguments, told
):
    monkeypatch.chdir(tmp_path)
    ran = command("gate", *arguments)
    assert ran.code == 64
    assert told in ran.err
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_policy_is_told_with_file_and_line(command, server, tmp_path):
    policy = tmp_path / "gate.yaml"
    policy.write_text("version: 1\nchecks:\n  clean_acuracy: 1\n")
    fields = [("policy:3", "line 3, column 3: unknown check"), ("policy:1", "line 1, column 10: expected 1")]
    server.on(
        "PromotionService/CreateEvaluation",
        Refusal(grpc.StatusCode.INVALID_ARGUMENT, "the policy", reason="POLICY_INVALID", fields=fields),
    )
    ran = command("gate", *ASKED, "--policy", str(policy))
    assert ran.code == 64
    assert f"{policy}:3:3: unknown check" in ran.err
    assert f"{policy}:1:10: expected 1" in ran.err


@pytest.mark.parametrize("reason", ["RESOURCES_MISMATCHED", "CANDIDATE_CHANGED", "WRONG_STATE"])
def test_what_can_not_be_judged_is_wrong_usage_and_writes_nothing(command, server, tmp_path, reason):
    server.on(
        "PromotionService/CreateEvaluation",
        Refusal(grpc.StatusCode.FAILED_PRECONDITION, "10 classes, not 2", reason=reason),
    )
    ran = command("gate", *ASKED, "--junit", str(tmp_path / "junit.xml"))
    assert ran.code == 64
    assert f"{reason}: 10 classes, not 2" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_69_and_nothing_is_written(command, tmp_path):
    ran = command(
        "--address", "127.0.0.1:1", "--timeout-s", "1", "gate", *ASKED, "--junit", str(tmp_path / "j.xml")
    )
    assert ran.code == 69
    assert list(tmp_path.iterdir()) == []


def register(server, model=b"model", state=READY, **fields):
    """Let the server take a file, and give it the baseline's way of being fed."""
    server.on("RegistryService/GetClassifier", baseline())
    server.on("RegistryService/ListClassifiers", ListClassifiersResponse())
    made = Classifier(name="classifiers/n", state=state, artifact=f"artifacts/{sha256(model)}", **fields)
    server.on("RegistryService/RegisterClassifier", made)


def baseline():
    made = Classifier(name="classifiers/b", state=READY, output_kind=2, output_name="scores")
    made.preprocessing.scale = 255
    made.preprocessing.mean.extend([1, 2, 3])
    return made


@pytest.fixture
def onnx_file(judged, server, tmp_path):
    """A candidate's file, which the server takes."""
    judged(evaluation("PASS"))
    register(server)
    server.on("ArtifactService/GetArtifact", Artifact(name=f"artifacts/{sha256(b'model')}"))
    path = tmp_path / "new.onnx"
    path.write_bytes(b"model")
    return path


def gate_file(path):
    return ("gate", "--baseline", "classifiers/b", "--candidate", str(path), "--audit", "audits/a")


def test_a_file_is_registered_like_the_baseline(command, server, onnx_file):
    assert command(*gate_file(onnx_file)).code == 0
    (registered,) = server.asked("RegistryService/RegisterClassifier")
    fed = registered.preprocessing
    assert (fed.scale, list(fed.mean)) == (255, [1, 2, 3])
    assert (registered.output_kind, registered.output_name) == (2, "scores")


def test_a_files_digest_is_told_to_the_server(command, server, onnx_file):
    command(*gate_file(onnx_file))
    (request,) = server.asked("PromotionService/CreateEvaluation")
    assert (request.candidate, request.candidate_sha256) == ("classifiers/n", sha256(b"model"))


def test_a_file_that_is_no_model_is_wrong_usage(command, server, onnx_file):
    failure = Failure(reason=32, message="expected one input")
    register(server, state=RegistrationState.REGISTRATION_STATE_REJECTED, failure=failure)
    ran = command(*gate_file(onnx_file))
    assert ran.code == 64
    assert "MODEL_SIGNATURE: expected one input" in ran.err


def test_a_file_that_changes_while_it_is_evaluated_is_not_promoted(command, server, onnx_file, tmp_path):
    def change(request):
        onnx_file.write_bytes(b"another")
        return evaluation("PASS")

    server.on("PromotionService/GetEvaluation", change)
    ran = command(*gate_file(onnx_file), "--junit", str(tmp_path / "j.xml"))
    assert ran.code == 64
    assert "changed while it was evaluated" in ran.err
    assert not (tmp_path / "j.xml").exists()


def test_ctrl_c_leaves_it_running_and_says_how_to_get_it_back(start_process, server):
    running = Evaluation(name="evaluations/e", state=2)
    server.on("PromotionService/CreateEvaluation", running)

    ended = threading.Event()

    def watch(request):
        yield WatchEvaluationResponse(evaluation=running, cursor="1")
        ended.wait(60)

    server.on("PromotionService/WatchEvaluation", lambda request: watch(request))
    gone = start_process("gate", *ASKED, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert gone.stderr.readline().endswith(" evaluations/e RUNNING\n")
    gone.send_signal(signal.SIGINT)
    out, err = gone.communicate(timeout=60)
    ended.set()
    assert gone.returncode == 130
    assert "keeps running. The same command again shows its verdict" in err
    assert "defuse cancel evaluations/e" in err
    assert (out, server.asked("PromotionService/CancelEvaluation")) == ("", [])


def test_json_is_the_evaluation(command, judged):
    judged(evaluation("INCONCLUSIVE"))
    ran = command("gate", *ASKED, "--json")
    assert ran.code == 2
    assert json.loads(ran.out)["verdict"] == "VERDICT_INCONCLUSIVE"

"""The command line: exit codes, one JSON document a line on stdout, and errors that say what to do."""

import grpc
import pytest
from defuse.messages import (
    Artifact,
    CalibrationFigures,
    Check,
    Classifier,
    Correction,
    CorrectionPoint,
    CorrectionPreset,
    Evaluation,
    Failure,
    Interval,
    Misclassification,
    Region,
    RegionState,
    RegistrationState,
    SaturationPoint,
    SearchMethod,
    StopReason,
    Vae,
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
    ran = command("--address", "127.0.0.1:1", "--timeout-s", "2", "audit", "list")
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


def test_methods_and_budgets_reach_the_server(command, server, audit):
    server.on("AuditService/CreateAudit", audit("QUEUED"))
    options = ("--method", "gradient", "--method", "neighbourhood", "--max-candidates", "5000", "--budget-s")
    options += ("60", "--patience-shards", "-1", "--belief-threshold", "0.75")
    assert command("audit", "start", *start_options(), *options).code == 0
    (request,) = server.asked("AuditService/CreateAudit")
    gradient, neighbourhood = (
        SearchMethod.SEARCH_METHOD_GRADIENT,
        SearchMethod.SEARCH_METHOD_NEIGHBOURHOOD,
    )
    assert list(request.config.methods) == [gradient, neighbourhood]
    assert (request.config.max_candidates, request.config.budget_s) == (5000, 60)
    assert (request.config.patience_shards, request.config.belief_threshold) == (-1, 0.75)


def test_status_says_why_the_search_ended_and_draws_what_it_had_found(command, server, audit):
    points = [
        SaturationPoint(candidates=1000 * (n + 1), regions=regions) for n, regions in enumerate((6, 12, 12))
    ]
    calibration = CalibrationFigures(
        items=480, bug_share=0.25, expected_calibration_error=0.021, brier_score=0.094
    )
    server.on(
        "AuditService/GetAudit",
        audit(
            "SUCCEEDED",
            stop_reason=StopReason.STOP_REASON_SATURATED,
            saturation=points,
            calibration=calibration,
        ),
    )
    lines = command("audit", "status", "audits/a").out.splitlines()
    assert any("search ended" in line and "no new regions" in line for line in lines)
    (figures,) = [line for line in lines if "calibration" in line]
    assert all(text in figures for text in ("0.021", "0.094", "480", "25.0%"))
    top, *_, bottom = drawn = [line.split("|")[1] for line in lines if "|" in line]
    assert lines[-1].split() == ["0", "3000"]
    # Full from two thirds on, where the last region came; less to the left of it.
    assert [len(line) for line in drawn] == sorted((len(line) for line in drawn), reverse=True)
    assert top[40:] == "█" * 20
    assert top[:30].strip() == ""
    assert bottom.count("█") > 50


def test_status_says_where_calibration_could_not_be_measured(command, server, audit):
    server.on("AuditService/GetAudit", audit("SUCCEEDED", calibration=CalibrationFigures(items=0)))
    assert "too few validation items" in command("audit", "status", "audits/a").out
    server.on("AuditService/GetAudit", audit("RUNNING"))
    text = command("audit", "status", "audits/a").out
    assert "calibration" not in text
    assert "|" not in text


def test_findings_say_how_likely_they_are_bugs(command, server):
    found = Misclassification(bug_probability=0.875, method=SearchMethod.SEARCH_METHOD_GRADIENT)
    server.on(
        "AuditService/StreamMisclassifications",
        [StreamMisclassificationsResponse(misclassifications=[found], cursor="c")],
    )
    assert "a bug with 87.5%, by gradient" in command("audit", "findings", "audits/a").out


def test_regions_come_by_expected_harm_with_its_interval(command, server):
    harms = [(0, 0.0004), (1, 0.02), (2, 0.003)]
    found = [
        Region(
            name=f"audits/a/regions/{number}",
            bug_probability=0.9,
            harm=Interval(value=harm, lower=harm / 2, upper=harm * 2),
        )
        for number, harm in harms
    ]
    server.on("AuditService/ListRegions", ListRegionsResponse(regions=found))
    heading, *rows = command("audit", "regions", "audits/a").out.splitlines()
    assert "harm" in heading
    assert [row.split()[0][-1] for row in rows] == ["1", "2", "0"]
    assert "2% (1% to 4%)" in rows[0]
    assert "0.04% (0.02% to 0.08%)" in rows[2]
    assert "90.0%" in rows[0]


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


def test_regions_say_what_they_come_from_and_what_they_were_split_into(command, server):
    names = [f"audits/a/regions/{number}" for number in range(4)]
    mixed = RegionState.REGION_STATE_MIXED
    found = [
        Region(name=names[0], state=mixed, parts=names[2:]),
        Region(name=names[1], state=mixed, unsplit_reason="it has 12 codes"),
        Region(name=names[2], parent=names[0]),
        Region(name=names[3], parent=names[0]),
        Region(name="audits/a/regions/4", state=mixed),
    ]
    server.on("AuditService/ListRegions", ListRegionsResponse(regions=found))
    lines = command("audit", "regions", "audits/a").out.splitlines()
    assert lines[1].split()[-3:] == ["into", "2,", "3"]
    assert lines[3].split()[-2:] == lines[4].split()[-2:] == ["from", "0"]
    assert lines[5].split()[-2:] == ["to", "come"]
    assert lines[-1] == f"{names[1]} stays MIXED: it has 12 codes"


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
    ran = command("correct", "audits/a", "--lambda", "0.5", "--lambda", "2", "--preset", "paper")
    assert ran.code == 0
    assert "classifiers/new" in ran.out
    assert "98.0%" in ran.out
    (request,) = server.asked("CorrectionService/CreateCorrection")
    assert list(request.config.lambdas) == [0.5, 2]
    assert request.config.preset == CorrectionPreset.CORRECTION_PRESET_PAPER


def test_correct_shows_the_control_and_what_the_worst_class_lost(command, server):
    made = Correction(
        name="corrections/c",
        state=SUCCEEDED,
        baseline=CorrectionPoint(validation_accuracy=0.97),
        control=CorrectionPoint(validation_accuracy=0.975, worst_class_change=0.001),
        curve=[
            CorrectionPoint(validation_accuracy=0.981, worst_class_change=-0.004, chosen=True),
            CorrectionPoint(diverged=True, worst_class_change=-0.9),
        ],
    )
    server.on("CorrectionService/CreateCorrection", made)
    ran = command("correct", "audits/a", "--no-wait")
    before, control, chosen, diverged = ran.out.splitlines()[-4:]
    assert "97.0%" in before
    assert ("control" in control, "97.5%" in control, "+0.1%" in control) == (True, True, True)
    assert ("chosen" in chosen, "98.1%" in chosen, "-0.4%" in chosen) == (True, True, True)
    assert "diverged" in diverged
    assert "+0.0%" not in before


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


def test_push_names_the_output_and_a_vaes_tensors(command, server, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    server.on("ArtifactService/GetArtifact", lambda request: Artifact(name=request.name))
    server.on(
        "RegistryService/RegisterClassifier",
        Classifier(name="classifiers/c", state=RegistrationState.REGISTRATION_STATE_READY),
    )
    server.on(
        "RegistryService/RegisterVae",
        Vae(
            name="vaes/v",
            state=RegistrationState.REGISTRATION_STATE_READY,
            tensors={"mu": "m", "code": "z", "image": "x"},
        ),
    )
    command("push", "classifier", str(path), "--output", "logits")
    (request,) = server.asked("RegistryService/RegisterClassifier")
    assert request.output_name == "logits"
    ran = command("push", "vae", str(path), "--mu", "m", "--spread-kind", "none", "--code", "z")
    assert "m, z, x" in ran.out
    (request,) = server.asked("RegistryService/RegisterVae")
    assert (request.tensors.mu, request.tensors.code, request.decoder_artifact) == ("m", "z", "")

"""`defuse audit ...`."""

import re

import pytest
from defuse.messages import (
    Audit,
    CalibrationFigures,
    Dataset,
    Interval,
    LabelingOutlook,
    LabelingReport,
    Misclassification,
    PreflightFigures,
    Preset,
    Progress,
    Region,
    RegionState,
    SaturationPoint,
    SearchMethod,
    StopReason,
)
from defuse.v1.audit_service_pb2 import (
    ListAuditsResponse,
    ListRegionsResponse,
    StreamMisclassificationsResponse,
    StreamRegionsResponse,
    WatchAuditResponse,
)

START = ("audit", "start", "--classifier", "classifiers/c", "--vae", "vaes/v", "--dataset", "datasets/d")
CREATE, GET, LIST = "AuditService/CreateAudit", "AuditService/GetAudit", "AuditService/ListAudits"
REPORT = "LabelService/GetLabelingReport"
REGIONS, FINDINGS = "AuditService/ListRegions", "AuditService/StreamMisclassifications"
MIXED = RegionState.REGION_STATE_MIXED


def region(number: int, **fields) -> Region:
    return Region(name=f"audits/a/regions/{number}", **fields)


def test_a_watched_audit_is_a_line_of_json_for_each_change(command, server, audit):
    server.on(CREATE, audit("QUEUED"))
    states = ("RUNNING", "SUCCEEDED")
    server.on("AuditService/WatchAudit", [WatchAuditResponse(audit=audit(state)) for state in states])
    ran = command(*START, "--watch", "--json")
    assert [line["state"] for line in ran.json] == ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]


def test_options_reach_the_server(command, server, audit):
    server.on(CREATE, audit("QUEUED"))
    options = ("--method", "gradient", "--method", "neighbourhood", "--max-candidates", "5000", "--budget-s")
    options += ("60", "--patience-shards", "-1", "--belief-threshold", "0.75", "--preset", "paper")
    assert command(*START, *options).code == 0
    (request,) = server.asked(CREATE)
    methods = SearchMethod.SEARCH_METHOD_GRADIENT, SearchMethod.SEARCH_METHOD_NEIGHBOURHOOD
    assert tuple(request.config.methods) == methods
    assert (request.config.max_candidates, request.config.budget_s) == (5000, 60)
    assert (request.config.patience_shards, request.config.belief_threshold) == (-1, 0.75)
    assert request.config.preset == Preset.PRESET_PAPER


@pytest.mark.parametrize("arguments", [("audit", "status", "audits/a"), ("audit", "list")], ids=" ".join)
def test_audits_are_shown_with_counts_and_times(command, server, audit, arguments):
    one = audit("RUNNING", candidate_count=5678, misclassification_count=1234)
    one.times.create_time.seconds = 1_700_000_000
    server.on(GET, one)
    server.on(LIST, ListAuditsResponse(audits=[one]))
    text = command(*arguments).out
    for word in ("RUNNING", "1234", "2023-11-1"):
        assert word in text


def test_before_the_first_shard_is_done_there_are_no_zeros(command, server, audit):
    progress = Progress(stage="identify", done=12, total=1200, unit="seeds")
    server.on(GET, audit("RUNNING", progress=progress))
    lines = [line.split("  ") for line in command("audit", "status", "audits/a").out.splitlines()]
    names = {line[0] for line in lines}
    assert "stage" in names
    assert not names & {"seeds", "candidates", "misclassifications", "regions"}


def test_a_list_of_audits_is_one_document_of_json(command, server, audit):
    server.on(LIST, ListAuditsResponse(audits=[audit("RUNNING", misclassification_count=1234)]))
    (document,) = command("audit", "list", "--json").json
    assert document["audits"][0]["misclassification_count"] == "1234"


def test_status_of_an_audit_that_waits_says_since_when_and_for_what(command, server, audit):
    one = audit("QUEUED")
    one.progress.queue_position = 1
    one.progress.waiting_since.seconds = 1_700_000_000
    one.progress.jobs_before.extend(["corrections/b", "audits/c"])
    server.on(GET, one)
    text = " ".join(command("audit", "status", "audits/a").out.split())
    assert "waits since 2023-11-1" in text
    assert "before it in the queue 1 before it corrections/b, audits/c" in text


@pytest.fixture
def labeled(server):
    """The labels of an ended audit, which say when to stop."""
    outlook = LabelingOutlook(
        labeled_bug_count=12,
        proposal_count=30,
        accuracy=0.99125,
        accuracy_next=0.992,
        second_search_ratio=0.25,
        second_search_ratio_next=0.125,
        sentence="Go on: the next 10 answers are expected to correct a further 12%.",
        verification="30 bugs that nobody answered take the label that the search proposes.",
    )
    server.on(REPORT, LabelingReport(outlook=outlook))


@pytest.mark.parametrize("arguments", [("audit", "status", "audits/a"), ("label-report", "audits/a")])
def test_status_and_report_say_how_far_the_labels_go(command, server, audit, labeled, arguments):
    server.on(GET, audit("SUCCEEDED"))
    text = " ".join(command(*arguments).out.split())
    for said in (
        "12 bugs by people, 30 by verified proposals",
        "99.1% expected now, 99.2% after the next ten answers",
        "25.0% expected now, 12.5% after the next ten answers",
        "advice Go on: the next 10 answers",
        "take the label that the search proposes",
    ):
        assert said in text


def test_status_of_an_audit_without_bugs_gives_no_advice(command, server, audit):
    server.on(GET, audit("SUCCEEDED"))
    server.on(REPORT, LabelingReport())
    assert "advice" not in command("audit", "status", "audits/a").out


def test_status_says_why_the_search_ended(command, server, audit, labeled):
    server.on(GET, audit("SUCCEEDED", stop_reason=StopReason.STOP_REASON_SATURATED))
    (line,) = [
        line for line in command("audit", "status", "audits/a").out.splitlines() if "search ended" in line
    ]
    assert "no new regions" in line


def test_status_draws_the_regions_found_over_the_candidates(command, server, audit, labeled):
    points = [
        SaturationPoint(candidates=1000 * (n + 1), regions=regions) for n, regions in enumerate((6, 12, 12))
    ]
    server.on(GET, audit("SUCCEEDED", saturation=points))
    lines = command("audit", "status", "audits/a").out.splitlines()
    assert lines[-1].split() == ["0", "3000"]
    top, *_, bottom = drawn = [line.split("|")[1] for line in lines if "|" in line]
    # Full from two thirds on, where the last region came; less to the left of it.
    assert [len(line) for line in drawn] == sorted((len(line) for line in drawn), reverse=True)
    assert (top[:30].strip(), top[40:]) == ("", "█" * 20)
    assert bottom.count("█") > 50


def test_status_shows_the_calibration(command, server, audit, labeled):
    figures = CalibrationFigures(
        items=480, bug_share=0.25, expected_calibration_error=0.021, brier_score=0.094
    )
    server.on(GET, audit("SUCCEEDED", calibration=figures))
    text = command("audit", "status", "audits/a").out
    assert "expected error 0.021, Brier score 0.094, on 480 validation items, 25.0% of them bugs" in text


@pytest.mark.parametrize("summary", ["22% of the reconstructions please the classifier alone.", ""])
def test_status_says_who_reads_the_reconstructions(command, server, audit, labeled, summary):
    """A record of an older server has the figure alone."""
    figures = PreflightFigures(readability=0.641, readability_summary=summary)
    server.on(GET, audit("SUCCEEDED", preflight=figures))
    text = " ".join(command("audit", "status", "audits/a").out.split())
    assert f"readability 64.1%{'. ' if summary else ''}{summary}" in text


def test_status_says_if_calibration_could_not_be_measured(command, server, audit, labeled):
    server.on(GET, audit("SUCCEEDED", calibration=CalibrationFigures(items=0)))
    assert "too few validation items" in command("audit", "status", "audits/a").out


def test_status_of_a_running_audit_leaves_out_what_is_not_there_yet(command, server, audit):
    server.on(GET, audit("RUNNING"))
    text = command("audit", "status", "audits/a").out
    assert "calibration" not in text
    assert "|" not in text


@pytest.fixture
def found(server):
    """Three misclassifications."""
    method = SearchMethod.SEARCH_METHOD_GRADIENT
    found = [Misclassification(seed_index=seed, bug_probability=0.875, method=method) for seed in range(3)]
    server.on(FINDINGS, [StreamMisclassificationsResponse(misclassifications=found, cursor="c")])


def test_findings_are_lines_of_json(command, found):
    lines = command("audit", "findings", "audits/a", "--json").json
    assert [line["seed_index"] for line in lines] == ["0", "1", "2"]


def test_findings_end_at_the_limit(command, found):
    assert len(command("audit", "findings", "audits/a", "--limit", "2").out.splitlines()) == 2


def test_findings_say_how_likely_they_are_bugs(command, found):
    assert "a bug with 87.5%, by gradient" in command("audit", "findings", "audits/a").out


def test_no_findings_are_said_to_be_none(command, server):
    server.on(FINDINGS, [])
    assert "No misclassification was found" in command("audit", "findings", "audits/a").out


@pytest.fixture
def named(server):
    """Let the audit's dataset name its first class."""
    server.on(GET, Audit(name="audits/a", dataset="datasets/d"))
    server.on("RegistryService/GetDataset", Dataset(class_names=["a cat"]))


def test_regions_name_their_classes(command, server, named):
    server.on(REGIONS, ListRegionsResponse(regions=[region(0, seed_label=0, predicted_class=7)]))
    (row,) = command("audit", "regions", "audits/a").out.splitlines()[1:]
    assert "0 a cat" in row
    assert re.search(r"\b7\b", row)


def test_regions_come_by_misread_inputs_with_their_interval(command, server, named):
    harms = [(0, 4e-6), (1, 2e-4), (2, 3e-5)]
    found = [
        region(number, harm=Interval(value=harm, lower=harm / 2, upper=harm * 2)) for number, harm in harms
    ]
    server.on(REGIONS, ListRegionsResponse(regions=found))
    heading, *rows = command("audit", "regions", "audits/a").out.splitlines()
    assert "misread inputs" in heading
    assert [row.split()[0][-1] for row in rows] == ["1", "2", "0"]
    assert "200 per million (100 to 400)" in rows[0]
    # The rank, and the share of the misread inputs of all regions.
    assert [row.split()[1] for row in rows] == ["1", "2", "3"]
    assert "85.5%" in rows[0]


def test_regions_show_state_and_probability_of_a_bug(command, server, named):
    found = region(0, state=RegionState.REGION_STATE_LABELED, label=1, confirmed=True, bug_probability=0.9)
    server.on(REGIONS, ListRegionsResponse(regions=[found]))
    row = command("audit", "regions", "audits/a").out.splitlines()[1]
    assert all(word in row for word in ("LABELED", "yes", "90.0%"))


def test_confirmed_regions_are_one_document_of_json(command, server):
    server.on(REGIONS, ListRegionsResponse(regions=[region(0, label=1)]))
    (document,) = command("audit", "regions", "audits/a", "--confirmed-only", "--json").json
    assert document["regions"][0]["label"] == 1
    assert server.asked(REGIONS)[-1].confirmed_only


def test_followed_regions_are_lines_of_json(command, server):
    found = [StreamRegionsResponse(regions=[region(0), region(1)], cursor="c")]
    server.on("AuditService/StreamRegions", found)
    lines = command("audit", "regions", "audits/a", "--follow", "--json").json
    assert [line["name"][-1] for line in lines] == ["0", "1"]


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({"state": MIXED, "parts": ["audits/a/regions/2", "audits/a/regions/3"]}, "into 2, 3"),
        ({"parent": "audits/a/regions/7"}, "from 7"),
        ({"state": MIXED}, "to come"),
        ({"state": MIXED, "unsplit_reason": "it has 12 codes"}, "stays MIXED: it has 12 codes"),
    ],
)
def test_regions_say_how_they_were_split(command, server, named, fields, end):
    server.on(REGIONS, ListRegionsResponse(regions=[region(0, **fields)]))
    assert command("audit", "regions", "audits/a").out.rstrip().endswith(end)

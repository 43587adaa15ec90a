"""`defuse correct`."""

import pytest
from defuse.messages import (
    Bug,
    Correction,
    CorrectionPoint,
    CorrectionPreset,
    JobState,
    LabelingOutlook,
    LabelingReport,
    ProposalUse,
    RegionState,
)
from defuse.v1.audit_service_pb2 import ListBugsResponse
from defuse.v1.correction_service_pb2 import WatchCorrectionResponse

SUCCEEDED = JobState.JOB_STATE_SUCCEEDED
CREATE, REPORT = "CorrectionService/CreateCorrection", "LabelService/GetLabelingReport"


BUGS = [
    Bug(name="audits/a/bugs/0", state=RegionState.REGION_STATE_LABELED),
    Bug(name="audits/a/bugs/1", state=RegionState.REGION_STATE_UNLABELED),
    Bug(name="audits/a/bugs/2", state=RegionState.REGION_STATE_MIXED, parts=["audits/a/bugs/4"]),
    Bug(name="audits/a/bugs/3", state=RegionState.REGION_STATE_MIXED, unsplit_reason="too few codes"),
    Bug(name="audits/a/bugs/4", state=RegionState.REGION_STATE_MIXED),
]


@pytest.fixture
def corrected(server):
    """A correction that succeeds."""
    chosen = CorrectionPoint(validation_accuracy=0.98, region_accuracy=0.95, chosen=True)
    made = Correction(
        name="corrections/c", state=SUCCEEDED, corrected_classifier="classifiers/new", curve=[chosen]
    )
    server.on(CREATE, Correction(name="corrections/c"))
    server.on("CorrectionService/WatchCorrection", [WatchCorrectionResponse(correction=made)])
    server.on("CorrectionService/GetCorrection", made)
    server.on("AuditService/ListBugs", ListBugsResponse(bugs=BUGS))
    server.on(REPORT, LabelingReport())


def test_it_waits_and_names_the_corrected_classifier(command, corrected):
    ran = command("correct", "audits/a")
    assert ran.code == 0
    assert "classifiers/new" in ran.out
    assert "98.0%" in ran.out


def test_it_says_which_bugs_are_left_out(command, corrected):
    said = " ".join(command("correct", "audits/a").err.split())
    assert "Of 4 bugs, 1 have no label yet and 1 wait to be split" in said


def test_bugs_that_take_verified_proposals_are_not_left_out(command, server, corrected):
    server.on(REPORT, LabelingReport(outlook=LabelingOutlook(proposal_count=1, verified=True)))
    said = " ".join(command("correct", "audits/a").err.split())
    assert "Of 4 bugs, 0 have no label yet and 1 wait to be split" in said
    assert server.asked(CREATE)[0].proposals == ProposalUse.PROPOSAL_USE_WHEN_VERIFIED


def test_proposals_can_be_left_out(command, server, corrected):
    server.on(REPORT, LabelingReport(outlook=LabelingOutlook(proposal_count=1, verified=True)))
    said = " ".join(command("correct", "audits/a", "--proposals", "off").err.split())
    assert "Of 4 bugs, 1 have no label yet" in said
    assert server.asked(CREATE)[0].proposals == ProposalUse.PROPOSAL_USE_OFF


def test_a_correction_says_how_many_labels_are_proposals(command, server, corrected):
    made = Correction(name="corrections/c", labeled_region_count=9, proposal_region_count=4)
    server.on(CREATE, made)
    text = command("correct", "audits/a", "--no-wait").out
    assert "9, 4 of them by proposals" in text


def test_options_reach_the_server(command, server, corrected):
    command("correct", "audits/a", "--lambda", "0.5", "--lambda", "2", "--preset", "paper")
    (request,) = server.asked(CREATE)
    assert list(request.config.lambdas) == [0.5, 2]
    assert request.config.preset == CorrectionPreset.CORRECTION_PRESET_PAPER


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (0, ("before", "97.0%")),
        (1, ("control", "97.5%", "+0.1%")),
        (2, ("chosen", "98.1%", "-0.4%")),
        (3, ("diverged", "-90.0%")),
    ],
)
def test_the_curve_shows_accuracies_and_what_the_worst_class_lost(command, server, row, words):
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
    server.on(CREATE, made)
    server.on("AuditService/ListBugs", ListBugsResponse())
    server.on(REPORT, LabelingReport())
    line = command("correct", "audits/a", "--no-wait").out.splitlines()[-4:][row]
    assert all(word in line for word in words)
    assert "+0.0%" not in line

"""`defuse correct`."""

import subprocess
import threading

import pytest
from defuse.messages import (
    Correction,
    CorrectionPoint,
    CorrectionPreset,
    JobState,
    LabelingFigures,
    ProposalUse,
    VaeTraining,
)
from defuse.v1.correction_service_pb2 import WatchCorrectionResponse

SUCCEEDED = JobState.JOB_STATE_SUCCEEDED
CREATE = "CorrectionService/CreateCorrection"


@pytest.fixture
def corrected(server):
    """A correction that succeeds."""
    chosen = CorrectionPoint(validation_accuracy=0.98, region_accuracy=0.95, chosen=True)
    made = Correction(
        name="corrections/c",
        state=SUCCEEDED,
        corrected_classifier="classifiers/new",
        curve=[chosen],
        label_set_digest="1a2b3c4d5e6f7a8b",
        labeled_region_count=178,
    )
    left_out = LabelingFigures(bug_count=57, unlabeled_count=15, splitting_count=3)
    server.on(CREATE, Correction(name="corrections/c", labeling=left_out))
    server.on("CorrectionService/WatchCorrection", [WatchCorrectionResponse(correction=made)])
    server.on("CorrectionService/GetCorrection", made)


def test_it_waits_and_names_the_corrected_classifier(command, corrected):
    ran = command("correct", "audits/a")
    assert ran.code == 0
    assert "classifiers/new" in ran.out
    assert "98.0%" in ran.out


def test_it_says_at_once_what_is_left_out(command, corrected):
    said = " ".join(command("correct", "audits/a").err.split())
    assert "leaves out what is not settled: 3 bugs wait for their split and 12 for an answer." in said
    assert "Only a correction that you start after that repairs them." in said


@pytest.mark.parametrize(
    ("arguments", "name", "method"),
    [
        (("correct", "audits/a"), "corrections/c", "CorrectionService/WatchCorrection"),
        (
            ("vae", "train", "--dataset", "datasets/d", "--classifier", "classifiers/c"),
            "vaeTrainings/t",
            "RegistryService/WatchVaeTraining",
        ),
    ],
    ids=["correct", "vae train"],
)
def test_the_jobs_name_is_there_before_anything_can_interrupt(
    start_process, server, corrected, arguments, name, method
):
    """Even a kill, at which no command can say anything, leaves the name."""
    ends = threading.Event()

    def silent(request):
        ends.wait(60)
        yield from ()

    server.on("RegistryService/TrainVae", VaeTraining(name="vaeTrainings/t"))
    server.on(method, lambda request: silent(request))
    process = start_process(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = process.stderr.readline()
    process.kill()
    process.communicate(timeout=60)
    ends.set()
    assert said == f"{name} was started.\n"


def test_it_names_the_labels_that_it_stands_on(command, corrected):
    assert "of 178 regions, label set 1a2b3c4d5e6f" in command("correct", "audits/a").out


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ((), ProposalUse.PROPOSAL_USE_WHEN_VERIFIED),
        (("--proposals", "off"), ProposalUse.PROPOSAL_USE_OFF),
    ],
)
def test_proposals_can_be_left_out(command, server, corrected, options, sent):
    command("correct", "audits/a", *options)
    assert server.asked(CREATE)[0].proposals == sent


def test_a_correction_says_how_many_labels_are_proposals(command, server, corrected):
    made = Correction(name="corrections/c", labeled_region_count=9, proposal_region_count=4)
    server.on(CREATE, made)
    text = " ".join(command("correct", "audits/a", "--no-wait").out.split())
    assert "labels by proposals 4" in text


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
    line = command("correct", "audits/a", "--no-wait").out.splitlines()[-4:][row]
    assert all(word in line for word in words)
    assert "+0.0%" not in line

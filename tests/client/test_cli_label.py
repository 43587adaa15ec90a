"""Labeling in the terminal."""

import hashlib
import time

import defuse
import grpc
from defuse.cli.leases import HeldLeases
from defuse.messages import (
    AnnotatorRecord,
    Artifact,
    ContactSheet,
    LabelingProgress,
    LabelingReport,
    LabelSkip,
    LabelTask,
    RegionState,
)
from defuse.v1.artifact_service_pb2 import DownloadResponse
from defuse.v1.label_service_pb2 import (
    ExtendLeaseResponse,
    LeaseLabelTasksResponse,
    ReleaseLabelTaskResponse,
    SubmitLabelResponse,
    UndoLabelResponse,
)

PNG = b"\x89PNG of nothing"
PNG_SHA256 = hashlib.sha256(PNG).hexdigest()


class Labeling:
    """Hands out regions in their order, as long as they have no answer and no lease."""

    def __init__(self, server, count):
        self.free = list(range(count))
        self.answers = {}
        self.released = []
        sheet = Artifact(name=f"artifacts/{PNG_SHA256}", sha256=PNG_SHA256, size_bytes=len(PNG))
        server.on("ArtifactService/GetArtifact", sheet)
        server.on("ArtifactService/Download", lambda request: iter([DownloadResponse(data=PNG)]))
        server.on("LabelService/LeaseLabelTasks", self.lease)
        server.on("LabelService/SubmitLabel", self.submit)
        server.on("LabelService/UndoLabel", self.undo)
        server.on("LabelService/ReleaseLabelTask", self.release)
        server.on("LabelService/GetLabelingProgress", LabelingProgress(region_count=count))

    def lease(self, request):
        leased = [self.free.pop(0)] if self.free else []
        tasks = [
            LabelTask(
                region=f"audits/a/regions/{number}",
                sheet=ContactSheet(artifact=f"artifacts/{PNG_SHA256}", count=4),
                class_names=["cat", "dog"],
                lease_token=f"token-{number}",
            )
            for number in leased
        ]
        return LeaseLabelTasksResponse(tasks=tasks)

    def submit(self, request):
        number = int(request.region.rpartition("/")[2])
        assert request.lease_token == f"token-{number}"
        self.answers[number] = str(request.answer).strip()
        return SubmitLabelResponse(state=RegionState.REGION_STATE_LABELED, answer_count=1, wanted_count=1)

    def undo(self, request):
        number = int(request.region.rpartition("/")[2])
        del self.answers[number]
        self.free.insert(0, number)
        return UndoLabelResponse()

    def release(self, request):
        self.released.append(request.region)
        return ReleaseLabelTaskResponse()


def test_labeling_takes_numbers_names_and_letters(command, server, tmp_path):
    labeling = Labeling(server, 5)
    ran = command("label", "audits/a", "--sheets", str(tmp_path), stdin="1\ncat\nm\ni\n?\n")
    assert ran.code == 0
    assert labeling.answers == {
        0: "label: 1",
        1: "label: 0",
        2: "verdict: LABEL_VERDICT_MIXED",
        3: "verdict: LABEL_VERDICT_INVALID",
        4: "verdict: LABEL_VERDICT_CANNOT_TELL",
    }
    assert (tmp_path / "audits-a-regions-0.png").read_bytes() == PNG
    assert str(tmp_path / "audits-a-regions-0.png") in ran.err.replace("\n", "")
    assert "0 cat  1 dog" in ran.err
    assert "5 answered" in ran.out


def test_a_slip_of_the_finger_is_asked_again(command, server):
    labeling = Labeling(server, 1)
    ran = command(
        "label",
        "audits/a",
        stdin="7\nx\n\ndog\n",
    )
    assert labeling.answers == {0: "label: 1"}
    assert "'7' is none of the classes" in ran.err


def test_undo_takes_the_last_answer_back_and_asks_again(command, server):
    labeling = Labeling(server, 3)
    ran = command("label", "audits/a", "--json", stdin="0\nu\n1\n0\nm\n")
    assert labeling.answers == {0: "label: 1", 1: "label: 0", 2: "verdict: LABEL_VERDICT_MIXED"}
    regions = [line["region"].rpartition("/")[2] for line in ran.json]
    assert regions == ["0", "0", "1", "2"]


def test_skipped_and_open_regions_are_given_back_at_the_end(command, server):
    labeling = Labeling(server, 3)
    command("label", "audits/a", stdin="s\n1\nq\n")
    assert labeling.answers == {1: "label: 1"}
    assert sorted(labeling.released) == ["audits/a/regions/0", "audits/a/regions/2"]


def test_the_end_of_the_input_ends_the_labeling(command, server):
    labeling = Labeling(server, 1)
    assert command("label", "audits/a", stdin="").code == 0
    assert labeling.released == ["audits/a/regions/0"]


def test_a_download_lands_in_the_file(command, server, tmp_path):
    Labeling(server, 0)
    out = tmp_path / "sheet.png"
    ran = command("download", f"artifacts/{PNG_SHA256}", str(out), "--json")
    assert ran.json == [{"name": f"artifacts/{PNG_SHA256}", "path": str(out), "size_bytes": str(len(PNG))}]
    assert out.read_bytes() == PNG


def test_leases_are_extended_until_they_are_lost_or_answered(server, refusal):
    lost = refusal(grpc.StatusCode.FAILED_PRECONDITION, reason="LEASE_LOST")

    def extend(request):
        if request.lease_token == "lost":
            raise lost
        return ExtendLeaseResponse()

    server.on("LabelService/ExtendLease", extend)
    server.on("LabelService/ReleaseLabelTask", ReleaseLabelTaskResponse())
    with defuse.Client(server.address) as client, HeldLeases(client, lease_s=0.15) as leases:
        for name in ("kept", "lost", "answered"):
            leases.hold(LabelTask(region=name, lease_token=name))
        leases.drop(LabelTask(region="answered"))
        time.sleep(0.4)
    extended = [request.lease_token for request in server.asked("LabelService/ExtendLease")]
    assert extended.count("kept") > 2
    assert extended.count("lost") == 1
    assert "answered" not in extended
    released = [request.lease_token for request in server.asked("LabelService/ReleaseLabelTask")]
    assert released == ["kept"]


def test_the_report_shows_agreement_records_and_skips_as_they_are_written(command, server):
    report = LabelingReport(
        progress=LabelingProgress(region_count=9, labeled_count=6, set_aside_count=2),
        alpha=0.8125,
        overlap_count=7,
        answer_count=21,
        annotators=[
            AnnotatorRecord(
                annotator="[red]ann[/red]",
                answer_count=9,
                cannot_tell_count=1,
                compared_count=8,
                agreed_count=6,
                gold_count=4,
                gold_right_count=1,
                skip_count=2,
                median_answer_s=3.5,
            )
        ],
        skips=[LabelSkip(region="audits/a/regions/3", annotator="ann", reason="[bold]too dark[/bold]")],
    )
    server.on("LabelService/GetLabelingReport", report)
    ran = command("label-report", "audits/a")
    assert ran.code == 0
    for text in ("0.812", "7 regions", "6 of 9", "6 of 8 (75.0%)", "1 of 4 (25.0%)", "3.5 s"):
        assert text in ran.out
    # Other people's text is text, not markup.
    assert "[red]ann[/red]" in ran.out
    assert "[bold]too dark[/bold]" in ran.out
    assert command("label-report", "audits/a", "--json").json[0]["alpha"] == 0.8125


def test_without_answers_the_report_says_so(command, server):
    server.on("LabelService/GetLabelingReport", LabelingReport())
    ran = command("label-report", "audits/a")
    assert "unknown" in ran.out
    assert "Nobody has answered" in ran.out

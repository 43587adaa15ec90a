"""Labeling in the terminal."""

import hashlib
import time

import defuse
import grpc
import pytest
from defuse.cli.leases import HeldLeases
from defuse.messages import (
    AnnotatorRecord,
    LabelingProgress,
    LabelingReport,
    LabelSkip,
    LabelTask,
)
from defuse.v1.label_service_pb2 import (
    ExtendLeaseResponse,
    ReleaseLabelTaskResponse,
)

from tests.client.cli.fake_labeling import Labeling
from tests.client.fake_server import Refusal

PNG = b"\x89PNG of nothing"
PNG_SHA256 = hashlib.sha256(PNG).hexdigest()


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("1", "label: 1"),
        ("cat", "label: 0"),
        ("m", "verdict: LABEL_VERDICT_MIXED"),
        ("i", "verdict: LABEL_VERDICT_INVALID"),
        ("?", "verdict: LABEL_VERDICT_CANNOT_TELL"),
    ],
)
def test_labeling_takes_numbers_names_and_letters(command, server, typed, answer):
    session = Labeling(server, 1, PNG)
    ran = command("label", "audits/a", stdin=f"{typed}\n")
    assert session.answers == {0: answer}
    assert "1 answered" in ran.out


def test_a_session_gets_back_what_a_killed_one_held_and_keeps_its_own(command, server):
    Labeling(server, 2, PNG)
    command("label", "audits/a", stdin="1\n0\n")
    asked = [request.hand_back_held for request in server.asked("LabelService/LeaseLabelTasks")]
    assert asked == [True, False, False]


def test_the_annotator_sees_the_classes_and_where_the_picture_is(command, server, tmp_path):
    Labeling(server, 1, PNG)
    ran = command("label", "audits/a", "--sheets", str(tmp_path), stdin="q\n")
    assert (tmp_path / "audits-a-regions-0.png").read_bytes() == PNG
    assert str(tmp_path / "audits-a-regions-0.png") in ran.err.replace("\n", "")
    assert "0 cat  1 dog" in ran.err


def test_the_annotator_is_the_tokens_and_else_the_user(command, server, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    Labeling(server, 1, PNG)
    command("label", "audits/a", stdin="q\n")
    assert {one.annotator for one in server.asked("LabelService/LeaseLabelTasks")} == {""}
    nameless = Refusal(grpc.StatusCode.INVALID_ARGUMENT, fields=[("annotator", "expected 1 to 100")])
    lent = server._answers["LabelService/LeaseLabelTasks"]
    server.on("LabelService/LeaseLabelTasks", nameless, *lent)
    command("label", "audits/a", stdin="q\n")
    assert [one.annotator for one in server.asked("LabelService/LeaseLabelTasks")][-2:] == ["", "ann"]


def test_a_slip_of_the_finger_is_asked_again(command, server):
    session = Labeling(server, 1, PNG)
    ran = command(
        "label",
        "audits/a",
        stdin="7\nx\n\ndog\n",
    )
    assert session.answers == {0: "label: 1"}
    assert "'7' is none of the classes" in ran.err


def test_undo_takes_the_last_answer_back_and_asks_again(command, server):
    session = Labeling(server, 3, PNG)
    ran = command("label", "audits/a", "--json", stdin="0\nu\n1\n0\nm\n")
    assert session.answers == {0: "label: 1", 1: "label: 0", 2: "verdict: LABEL_VERDICT_MIXED"}
    regions = [line["region"].rpartition("/")[2] for line in ran.json]
    assert regions == ["0", "0", "1", "2"]


def test_open_regions_are_given_back_at_the_end(command, server):
    session = Labeling(server, 3, PNG)
    command("label", "audits/a", stdin="1\nq\n")
    assert session.answers == {0: "label: 1"}
    assert session.released == ["audits/a/regions/1"]


def test_skips_leave_a_region_to_others_with_the_reason(command, server):
    session = Labeling(server, 4, PNG)
    command("label", "audits/a", stdin="s\ns too dark to see\n1\nq\n")
    assert session.skipped == {"audits/a/regions/0": "", "audits/a/regions/1": "too dark to see"}
    assert session.answers == {2: "label: 1"}
    assert session.released == ["audits/a/regions/3"]


def test_a_skip_after_the_lease_was_lost_is_told(command, server):
    lost = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "the lease has ended", reason="LEASE_LOST")
    Labeling(server, 2, PNG)
    server.on("LabelService/SkipLabelTask", lost)
    ran = command("label", "audits/a", stdin="s\nq\n")
    assert ran.code == 0
    assert "Not skipped: the lease has ended" in ran.err


def test_the_end_of_the_input_ends_the_labeling(command, server):
    session = Labeling(server, 1, PNG)
    assert command("label", "audits/a", stdin="").code == 0
    assert session.released == ["audits/a/regions/0"]


def test_ctrl_c_at_the_question_is_130_and_gives_the_task_back(command, server, monkeypatch):
    session = Labeling(server, 1, PNG)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("defuse.cli.label_session.stderr.input", interrupted)
    ran = command("label", "audits/a")
    assert (ran.code, session.released) == (130, ["audits/a/regions/0"])
    assert "0 answered" in ran.out


def test_a_download_lands_in_the_file(command, server, tmp_path):
    Labeling(server, 0, PNG)
    out = tmp_path / "sheet.png"
    ran = command("download", f"artifacts/{PNG_SHA256}", str(out), "--json")
    assert ran.json == [{"name": f"artifacts/{PNG_SHA256}", "path": str(out), "size_bytes": str(len(PNG))}]
    assert out.read_bytes() == PNG


def test_leases_are_extended_until_they_are_lost_or_answered(server):
    lost = Refusal(grpc.StatusCode.FAILED_PRECONDITION, reason="LEASE_LOST")

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


@pytest.fixture
def report(server):
    record = AnnotatorRecord(
        annotator="[red]ann[/red]",
        compared_count=8,
        agreed_count=6,
        gold_count=4,
        gold_right_count=1,
        median_answer_s=3.5,
    )
    report = LabelingReport(
        progress=LabelingProgress(region_count=9, labeled_count=6, set_aside_count=2),
        alpha=0.8125,
        overlap_count=7,
        annotators=[record],
        skips=[LabelSkip(region="audits/a/regions/3", annotator="ann", reason="[bold]too dark[/bold]")],
    )
    server.on("LabelService/GetLabelingReport", report)


@pytest.mark.parametrize(
    "text",
    ["0.812", "over 7", "6 of 9", "6 of 8 (75.0%)", "1 of 4 (25.0%)", "3.5 s", "audits/a/regions/3"],
)
def test_the_report_shows_agreement_records_and_skips(command, report, text):
    assert text in command("label-report", "audits/a").out


@pytest.mark.parametrize("text", ["[red]ann[/red]", "[bold]too dark[/bold]"])
def test_in_the_report_other_peoples_text_is_no_markup(command, report, text):
    assert text in command("label-report", "audits/a").out


def test_the_report_as_json(command, report):
    assert command("label-report", "audits/a", "--json").json[0]["alpha"] == 0.8125


def test_without_answers_the_report_says_so(command, server):
    server.on("LabelService/GetLabelingReport", LabelingReport())
    ran = command("label-report", "audits/a")
    assert "unknown" in ran.out
    assert "Nobody has answered" in ran.out

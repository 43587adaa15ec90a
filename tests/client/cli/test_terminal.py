"""The command line as a process of its own, at a terminal or not."""

import json
import os
import pty
import signal
import subprocess
import threading

import pytest
from defuse.cli.progress import line_writer
from defuse.messages import Progress
from defuse.v1.audit_service_pb2 import WatchAuditResponse

WATCH = ("watch", "audits/a", "--json")


@pytest.fixture
def watched(server, audit):
    """A running audit; set the event to let its watch end."""
    ends = threading.Event()

    def states(request):
        def answers():
            yield WatchAuditResponse(audit=audit("RUNNING"))
            ends.wait(20)
            yield WatchAuditResponse(audit=audit("SUCCEEDED"))

        return answers()

    server.on("AuditService/WatchAudit", states)
    yield ends
    ends.set()


def test_ctrl_c_leaves_the_job_running_and_says_how_to_stop_it(start_process, server, watched):
    process = start_process(*WATCH, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert json.loads(process.stdout.readline())["state"] == "JOB_STATE_RUNNING"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "defuse cancel audits/a" in err
    assert "Traceback" not in err
    assert not server.asked("AuditService/CancelAudit")


def test_at_a_terminal_there_is_a_bar_and_stdout_stays_clean(start_process, watched):
    watched.set()
    ours, theirs = pty.openpty()
    process = start_process(*WATCH, stdout=subprocess.PIPE, stderr=theirs)
    out, _ = process.communicate(timeout=60)
    os.close(theirs)
    assert "audits/a" in os.read(ours, 100_000).decode()
    os.close(ours)
    states = [json.loads(line)["state"] for line in out.splitlines()]
    assert states == ["JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED"]


def test_lines_of_json_hold_the_progress_so_stderr_stays_empty(command, watched):
    watched.set()
    assert command(*WATCH).err == ""


def test_without_a_terminal_there_are_lines_for_each_state(command, watched):
    watched.set()
    lines = command("watch", "audits/a").err.splitlines()
    assert [line.split("  ")[1] for line in lines] == ["audits/a RUNNING", "audits/a SUCCEEDED"]


def test_between_two_stages_a_line_comes_every_few_seconds_and_in_long_jobs_every_minute(audit, capsys):
    clock = [0.0]
    update = line_writer(lambda: clock[0])
    for second in range(4 * 3600):
        clock[0] = second
        update(audit("RUNNING", progress=Progress(stage="identify", done=second, total=90_000, unit="seeds")))
    clock[0] += 1
    update(audit("RUNNING", progress=Progress(stage="distill")))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "0.0 s  audits/a RUNNING identify: 0/90000 seeds"
    assert lines[1] == "5.0 s  audits/a RUNNING identify: 5/90000 seeds"
    assert lines[-1] == "4 h 0 min  audits/a RUNNING distill"
    assert 4 * 60 < len(lines) < 6 * 60

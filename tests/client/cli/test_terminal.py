"""The command line as a process of its own, at a terminal or not."""

import json
import os
import pty
import signal
import subprocess
import threading

import pytest
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


def test_without_a_terminal_there_is_no_bar(command, watched):
    watched.set()
    assert command(*WATCH).err == ""

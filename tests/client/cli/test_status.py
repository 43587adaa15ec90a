"""`defuse status` against answers that a test writes down."""

import os
import pty
import subprocess

import grpc
import pytest
from defuse.messages import (
    LastVerdict,
    OpenLabeling,
    Progress,
    QueueStatus,
    RunningJob,
    ServiceStatus,
    Verdict,
    WorkerStatus,
)
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tests.client.fake_server import Refusal

METHOD = "StatusService/GetServiceStatus"


@pytest.fixture
def busy() -> ServiceStatus:
    progress = Progress(stage="identify", done=12, total=40, unit="seeds", rate_per_s=3, attempt=2)
    lost = Progress(attempt=1, heartbeat_age=Duration(seconds=70))
    return ServiceStatus(
        version="0.1.0",
        time=Timestamp(seconds=1_800_000_000),
        workers=[WorkerStatus(worker="a#1", jobs=["audits/1"]), WorkerStatus(worker="a#2")],
        running_jobs=[
            RunningJob(name="audits/1", worker="a#1", progress=progress, running_time=Duration(seconds=75)),
            RunningJob(name="audits/2", worker="b#9", progress=lost),
        ],
        queues=[QueueStatus(kind="corrections", count=3, oldest_age=Duration(seconds=3700))],
        awaiting_audit_count=2,
        open_labelings=[
            OpenLabeling(audit="audits/7", open_task_count=8),
            OpenLabeling(audit="audits/6", open_task_count=1),
        ],
        open_label_task_count=9,
        last_verdicts=[
            LastVerdict(evaluation="evaluations/1", candidate="classifiers/2", verdict=Verdict.VERDICT_FAIL)
        ],
    )


def test_a_busy_service_fits_one_screen(command, server, busy):
    server.on(METHOD, busy)
    ran = command("status")
    assert ran.code == 0
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert lines[0].startswith(f"service {server.address} version 0.1.0, 2027-01-")
    assert lines[1:] == [
        "workers a#1 audits/1: identify, 12/40 seeds, 3/s, attempt 2, for 1 min 15 s",
        "a#2 idle",
        "without a worker audits/2 b#9 was heard 1 min 10 s ago",
        "queue corrections 3, the oldest for 1 h 1 min",
        "evaluations 2 wait for their audit",
        "labeling audits/7 8 open tasks",
        "audits/6 1 open tasks",
        "together 9 open tasks",
        "verdicts evaluations/1 FAIL of classifiers/2,",
    ]


def test_a_service_that_can_do_nothing_says_why(command, server):
    server.on(METHOD, ServiceStatus(version="0.1.0", store_problem="the artifact store can't be used: full"))
    lines = [" ".join(line.split()) for line in command("status").out.splitlines()]
    assert lines[1:] == [
        "store can't be used the artifact store can't be used: full",
        "workers none Jobs wait until somebody starts `defuse-server worker`.",
        "queue empty",
    ]


def test_json_has_the_apis_fields(command, server, busy):
    server.on(METHOD, busy)
    (shown,) = command("status", "--json").json
    assert shown["workers"][0] == {"worker": "a#1", "jobs": ["audits/1"]}
    assert shown["queues"] == [{"kind": "corrections", "count": 3, "oldest_age": "3700s"}]
    assert shown["running_jobs"][0]["progress"]["stage"] == "identify"
    assert shown["last_verdicts"][0]["verdict"] == "VERDICT_FAIL"


def test_a_watch_looks_again_until_ctrl_c(start_process, server, busy):
    later = ServiceStatus()
    later.CopyFrom(busy)
    later.workers[1].jobs.append("vaes/3")
    server.on(METHOD, busy, later)
    process = start_process("status", "--watch", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        shown = [process.stdout.readline() for _ in range(2)]
        assert '"vaes/3"' not in shown[0]
        assert '"vaes/3"' in shown[1]
        process.send_signal(2)
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.communicate()


def test_at_a_terminal_a_watch_draws_the_screen_anew(start_process, server, busy):
    later = ServiceStatus()
    later.CopyFrom(busy)
    later.workers[1].jobs.append("vaes/3")
    server.on(METHOD, busy, later)
    ours, theirs = pty.openpty()
    process = start_process("status", "--watch", stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    try:
        shown = ""
        while "vaes/3" not in shown:
            shown += os.read(ours, 10_000).decode()
        first = shown.partition("vaes/3")[0]
        assert "audits/7" in first
        assert first.count("service") == 2
        process.send_signal(2)
        while True:
            try:
                os.read(ours, 10_000)
            except OSError:  # the terminal's other end is closed
                break
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.communicate()
        os.close(ours)


def test_an_older_server_is_told_as_such(command, server):
    server.on(METHOD, Refusal(grpc.StatusCode.UNIMPLEMENTED, "unknown service"))
    ran = command("status")
    assert ran.code == 70
    assert "unknown service" in ran.err

"""`defuse status` of a running service."""

import asyncio
import json
import os
import subprocess
import sys

from defuse.v1.models_pb2 import JOB_STATE_RUNNING


async def test_the_command_shows_a_worker_and_what_it_does(service, tiny, backend):
    address, _ = await asyncio.to_thread(service.start, "up")
    audit = await tiny.audit(candidates_per_seed=10_000)
    await tiny.until(audit.name, lambda one: one.state == JOB_STATE_RUNNING and one.progress.stage)
    waiting = await tiny.audit()

    def run(*options: str) -> str:
        command = [sys.executable, "-c", "from defuse.cli import main; main()", "status", *options]
        environment = {**os.environ, "DEFUSE_ADDRESS": address}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    seen = json.loads(await asyncio.to_thread(run, "--json"))
    (worker,) = seen["workers"]
    assert worker["jobs"] == [audit.name]
    assert seen["running_jobs"][0]["worker"] == worker["worker"]
    assert [(one["kind"], one["count"]) for one in seen["queues"]] == [("audits", 1)]
    text = await asyncio.to_thread(run)
    rows = [line.split() for line in text.splitlines()]
    assert ["workers", worker["worker"], f"{audit.name}:"] in [row[:3] for row in rows]
    assert ["queue", "audits", "1,"] in [row[:3] for row in rows]
    for job in (audit, waiting):
        await backend.jobs.cancel(job.name)
        await tiny.ended(job.name)

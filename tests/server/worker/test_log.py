"""The lines that a worker logs about a job name the job and its audit."""

import json

import pytest

pytestmark = pytest.mark.xdist_group("shared audit")


async def test_every_line_of_a_job_names_the_job_and_its_audit(
    labeled_audit, tiny, backend, start_worker, settings
):
    worker = start_worker()
    made = await tiny.evaluation(
        audit=labeled_audit.name,
        baseline=labeled_audit.classifier,
        candidate=labeled_audit.classifier,
        policy="version: 1",
    )
    await tiny.until(made.name, lambda one: one.progress.stage)
    await backend.jobs.cancel(made.name)
    await tiny.ended(made.name)
    inspected = await tiny.classifier(b"no model")
    failing = await tiny.audit(noise_scale=0.3, device="cuda:77")
    await tiny.ended(failing.name)
    worker.stop()

    lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
    assert {line["logger"].partition(".")[0] for line in lines} == {"defuse_server"}
    events = [(line["job"], line.get("audit"), line["event"]) for line in lines if "job" in line]
    # An inspection runs beside the jobs.
    assert sorted(events, key=lambda one: [made.name, inspected.name, failing.name].index(one[0])) == [
        (made.name, labeled_audit.name, "job.claimed"),
        (made.name, labeled_audit.name, "job.cancelled"),
        (inspected.name, None, "job.claimed"),
        (inspected.name, None, "job.ended"),
        (failing.name, failing.name, "job.claimed"),
        (failing.name, failing.name, "job.ended"),
    ]
    assert {line["attempt"] for line in lines if "job" in line} == {1}

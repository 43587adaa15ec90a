"""A worker estimates the consensus of answers, also while it has a job."""

import asyncio

from defuse.v1.audit_service_pb2 import CONSENSUS_METHOD_DAWID_SKENE, LabelingConfig, RegionState
from defuse.v1.label_service_pb2 import LabelAnswer
from defuse.v1.models_pb2 import JOB_STATE_RUNNING, JOB_STATE_SUCCEEDED


async def test_a_worker_finds_the_consensus_beside_its_job(tiny, start_worker, backend):
    start_worker()
    labeling = LabelingConfig(method=CONSENSUS_METHOD_DAWID_SKENE)
    audit = await tiny.ended((await tiny.audit(annotators_per_region=2, labeling=labeling)).name)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    assert audit.config.labeling.max_annotators_per_region == 4
    # The next job is long: its one worker has no time for anything that waits in its queue.
    busy = (await tiny.audit(candidates_per_seed=10_000)).name
    await tiny.until(busy, lambda job: job.state == JOB_STATE_RUNNING)
    for annotator in ("ann", "ben"):
        for task in await backend.labels.lease(audit.name, annotator, 100, 60.0):
            await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=1), "")
    async with asyncio.timeout(60):
        while await backend.consensus_estimates.pending():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    labels = await backend.labeling.labels(audit.name)
    assert {label.state for label in labels.values()} == {RegionState.REGION_STATE_LABELED}
    assert {label.label for label in labels.values()} == {1}
    assert (await backend.resources.get(busy)).state == JOB_STATE_RUNNING

"""Trainings of VAEs through real workers: cancelled, taken over, refused."""

import asyncio
import contextlib
import io
import signal

import numpy as np
import pytest
from defuse.v1.error_reason_pb2 import ERROR_REASON_DATASET_CONSTANT
from defuse.v1.models_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_FAILED,
    JOB_STATE_QUEUED,
    Progress,
)
from defuse.v1.registry_service_pb2 import Dataset, VaeTraining, VaeTrainingConfig
from defuse_server.worker.fence import Attempt, Fence
from defuse_server.worker.supervisor import Supervisor

SHORT = {"latent_sizes": [2], "budget_s": 10}
ENDLESS = {"latent_sizes": [2], "budget_s": 3600}


@pytest.fixture
def train(tiny):
    """Submit a training on the tiny classifier and dataset, or on another dataset."""

    async def submit(dataset: str = "", **config) -> VaeTraining:
        classifier, _, own = await tiny.registered()
        return await tiny.submit(
            VaeTraining(
                state=JOB_STATE_QUEUED,
                display_name="mine",
                classifier=classifier,
                dataset=dataset or own,
                config=VaeTrainingConfig(seed=1, **config),
            ),
            references=[classifier, dataset or own],
        )

    return submit


def training(job) -> bool:
    return job.progress.stage == "train" and job.progress.done > 0


async def test_a_cancelled_training_ends_without_a_vae(tiny, backend, train, start_worker):
    start_worker()
    job = await train(**ENDLESS)
    await tiny.until(job.name, training)
    await backend.jobs.cancel(job.name)
    ended = await tiny.ended(job.name)
    assert ended.state == JOB_STATE_CANCELLED
    assert ended.vae == ""


async def test_a_cancellation_that_a_command_swallows_ends_the_training_all_the_same(
    tiny, backend, train, tmp_path, monkeypatch
):
    write = Attempt.progress

    async def swallows(attempt: Attempt, progress: Progress) -> None:
        # The cancellation comes in here nearly always.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.3)
        await write(attempt, progress)

    monkeypatch.setattr(Attempt, "progress", swallows)
    job = await train(**ENDLESS)
    worker = Supervisor(backend, Fence(backend.redis, "test", 30.0), tmp_path)
    run = asyncio.create_task(worker.run(job.name))
    await tiny.until(job.name, training)
    await backend.jobs.cancel(job.name)
    assert (await tiny.ended(job.name)).state == JOB_STATE_CANCELLED
    await run


async def test_a_training_whose_worker_is_killed_starts_again_with_another(
    tiny, backend, train, start_worker
):
    first = start_worker()
    job = await train(**ENDLESS)
    await tiny.until(job.name, training)
    first.signal(signal.SIGKILL)
    start_worker()
    await tiny.until(job.name, lambda job: job.progress.attempt == 2 and training(job))
    await backend.jobs.cancel(job.name)
    assert (await tiny.ended(job.name)).state == JOB_STATE_CANCELLED


async def test_data_that_teaches_nothing_is_a_failure_with_its_reason(
    tiny, train, start_worker, constant_dataset
):
    start_worker()
    artifact = await tiny.artifact(constant_dataset)
    dataset = await tiny.ready(Dataset(artifact=artifact, class_names=["left", "right"]))
    failed = await tiny.ended((await train(dataset, **SHORT)).name)
    assert failed.state == JOB_STATE_FAILED
    assert failed.failure.reason == ERROR_REASON_DATASET_CONSTANT


@pytest.fixture
def constant_dataset(tiny_models) -> bytes:
    with np.load(io.BytesIO(tiny_models.dataset())) as arrays:
        values = {
            name: np.zeros_like(arrays[name]) if name[0] == "x" else arrays[name] for name in arrays.files
        }
    file = io.BytesIO()
    np.savez(file, **values)
    return file.getvalue()

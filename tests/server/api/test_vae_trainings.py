"""Creating trainings of VAEs; the other calls are those of audits."""

import uuid

import grpc
import pytest
from defuse.v1.models_pb2 import ImageShape, JobState
from defuse.v1.registry_service_pb2 import (
    CancelVaeTrainingRequest,
    DeleteDatasetRequest,
    GetVaeTrainingRequest,
    ListVaeTrainingsRequest,
    TrainVaeRequest,
    VaeTrainingConfig,
    WatchVaeTrainingRequest,
)

UNKNOWN = "0" * 18


@pytest.fixture
async def request_for(records):
    """Make requests to train on a classifier and a dataset that are READY."""
    classifier, dataset = await records.classifier(), await records.dataset()

    def make(**fields) -> TrainVaeRequest:
        values = {"classifier": classifier.name, "dataset": dataset.name, **fields}
        return TrainVaeRequest(request_id=str(uuid.uuid4()), **values)

    return make


async def test_a_training_is_queued_and_keeps_its_dataset(stubs, request_for, refused):
    request = request_for(display_name="mine", config=VaeTrainingConfig(latent_sizes=[8, 16]))
    training = await stubs.registry.TrainVae(request)
    assert training.name.startswith("vaeTrainings/")
    assert training.state == JobState.JOB_STATE_QUEUED
    assert (training.classifier, training.dataset) == (request.classifier, request.dataset)
    assert list(training.config.latent_sizes) == [8, 16]
    assert (await stubs.registry.TrainVae(request)).name == training.name
    with refused() as problem:
        await stubs.registry.DeleteDataset(DeleteDatasetRequest(name=request.dataset))
    assert problem.reason == "RESOURCE_IN_USE"


async def test_it_is_shown_listed_watched_and_cancelled(stubs, request_for):
    made = await stubs.registry.TrainVae(request_for())
    shown = await stubs.registry.GetVaeTraining(GetVaeTrainingRequest(name=made.name))
    assert shown.name == made.name
    watch = stubs.registry.WatchVaeTraining(WatchVaeTrainingRequest(name=made.name))
    assert (await watch.read()).vae_training.state == JobState.JOB_STATE_QUEUED
    cancelled = await stubs.registry.CancelVaeTraining(CancelVaeTrainingRequest(name=made.name))
    assert cancelled.state == JobState.JOB_STATE_CANCELLED
    assert (await watch.read()).vae_training.state == JobState.JOB_STATE_CANCELLED
    assert await watch.read() is grpc.aio.EOF
    request = ListVaeTrainingsRequest(state=JobState.JOB_STATE_CANCELLED)
    assert [one.name for one in (await stubs.registry.ListVaeTrainings(request)).vae_trainings] == [made.name]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"classifier": "vaes/1"}, {"classifier"}),
        ({"config": VaeTrainingConfig(latent_sizes=[0])}, {"config.latent_sizes"}),
        ({"config": VaeTrainingConfig(latent_sizes=[8] * 9)}, {"config.latent_sizes"}),
        ({"config": VaeTrainingConfig(budget_s=9.0, device="tpu")}, {"config.budget_s", "config.device"}),
        ({"config": VaeTrainingConfig(budget_s=float("nan"), seed=-1)}, {"config.budget_s", "config.seed"}),
    ],
)
async def test_what_is_out_of_range_is_named(stubs, request_for, refused, fields, faults):
    with refused() as problem:
        await stubs.registry.TrainVae(request_for(**fields))
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert set(problem.fields) == faults


async def test_unknown_names_are_not_found(stubs, request_for, refused):
    with refused() as problem:
        await stubs.registry.TrainVae(request_for(dataset=f"datasets/{UNKNOWN}"))
    assert problem.code == grpc.StatusCode.NOT_FOUND
    with refused() as problem:
        await stubs.registry.GetVaeTraining(GetVaeTrainingRequest(name=f"vaeTrainings/{UNKNOWN}"))
    assert problem.code == grpc.StatusCode.NOT_FOUND


async def test_the_classifier_must_fit_the_dataset(stubs, request_for, records, refused):
    other = await records.dataset(image_shape=ImageShape(channels=3, height=2, width=3))
    with refused() as problem:
        await stubs.registry.TrainVae(request_for(dataset=other.name))
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESOURCES_MISMATCHED")

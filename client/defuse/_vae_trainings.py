"""Training of VAEs for those who have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack

from defuse._flow import DEFAULT_TIMEOUT_S, Flow, StreamFlow, paged, unary
from defuse._jobs import OnUpdate, done
from defuse._requests import Named, job_state, name_of, new_request_id
from defuse.v1.models_pb2 import JobState
from defuse.v1.registry_service_pb2 import (
    GetVaeTrainingRequest,
    ListVaeTrainingsRequest,
    ListVaeTrainingsResponse,
    TrainVaeRequest,
    VaeTraining,
    VaeTrainingConfig,
)


class VaeTrainingSettings(TypedDict, total=False):
    """The fields of VaeTrainingConfig; what is left out gets its default."""

    seed: int
    device: str
    latent_sizes: Sequence[int]
    budget_s: float


def train_vae(
    classifier: Named,
    dataset: Named,
    *,
    display_name: str = "",
    wait: bool = True,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
    **config: Unpack[VaeTrainingSettings],
) -> Flow[VaeTraining]:
    """Train a VAE whose reconstructions the classifier can read; the result names `vae`.

    With `wait`, returns the training SUCCEEDED or raises as `wait` does; else returns it QUEUED. Raises
    NotFound, FailedPrecondition (the classifier or the dataset is not READY, or they don't fit together).
    """
    request = TrainVaeRequest(
        request_id=new_request_id(),
        display_name=display_name,
        classifier=name_of(classifier),
        dataset=name_of(dataset),
        config=VaeTrainingConfig(**config),
    )
    training = yield from unary("RegistryService/TrainVae", request, VaeTraining, timeout_s)
    return (yield from done(training, on_update=on_update, timeout_s=timeout_s)) if wait else training


def get_vae_training(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[VaeTraining]:
    """Return a training as it stands. Raises NotFound."""
    request = GetVaeTrainingRequest(name=name_of(name))
    return unary("RegistryService/GetVaeTraining", request, VaeTraining, timeout_s)


def list_vae_trainings(
    *, state: JobState | str | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[VaeTraining]:
    """Hand out all trainings, or those in a state (`running`, ...), newest first."""
    wanted = job_state(state)
    return paged(
        "RegistryService/ListVaeTrainings",
        lambda token: ListVaeTrainingsRequest(page_token=token, state=wanted),
        ListVaeTrainingsResponse,
        lambda page: page.vae_trainings,
        timeout_s,
    )

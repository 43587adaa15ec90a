"""Training VAEs for users who have none."""

from collections.abc import Sequence
from typing import TypedDict, Unpack

from defuse._calls.request_fields import Named, name_of
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow
from defuse._operations.jobs import OnUpdate, start_job
from defuse.v1.registry_service_pb2 import TrainVaeRequest, VaeTraining, VaeTrainingConfig


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

    With `wait`, returns the training once it has SUCCEEDED, or raises as `wait` does. Without it, returns it
    QUEUED. Raises `NotFound`, or `FailedPrecondition` if the classifier or the dataset is not READY or they
    do not fit together.
    """
    request = TrainVaeRequest(
        display_name=display_name,
        classifier=name_of(classifier),
        dataset=name_of(dataset),
        config=VaeTrainingConfig(**config),
    )
    return (yield from start_job(request, VaeTraining, wait, on_update, timeout_s))

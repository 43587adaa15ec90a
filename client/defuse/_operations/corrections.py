"""Starting corrections."""

from collections.abc import Sequence
from typing import TypedDict, Unpack

from defuse._calls.request_fields import Named, config_of, enum_value, name_of
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow
from defuse._operations.jobs import OnUpdate, start_job
from defuse.v1 import correction_service_pb2 as pb


class CorrectionSettings(TypedDict, total=False):
    """The fields of CorrectionConfig; what is left out gets the preset's default (`default` or `paper`)."""

    preset: pb.CorrectionPreset | str
    seed: int
    device: str
    lambdas: Sequence[float]
    learning_rate: float
    epochs: int
    samples_per_region: int


def correct(
    audit: Named,
    *,
    display_name: str = "",
    proposals: pb.ProposalUse | str | None = None,
    wait: bool = True,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
    **config: Unpack[CorrectionSettings],
) -> Flow[pb.Correction]:
    """Fine-tune the audit's classifier on its labeled regions; the result names `corrected_classifier`.

    Bugs that nobody has answered take their verified proposals as labels, unless `proposals` is `off`.
    With `wait`, returns the correction once it has SUCCEEDED, or raises as `wait` does. Without it, returns
    it QUEUED. Raises `NotFound`, or `FailedPrecondition` if no region's label differs from its prediction or
    the model has no gradients.
    """
    request = pb.CreateCorrectionRequest(
        display_name=display_name,
        audit=name_of(audit),
        proposals=enum_value(pb.ProposalUse, proposals),
        config=config_of(pb.CorrectionConfig, config),
    )
    return (yield from start_job(request, pb.Correction, wait, on_update, timeout_s))

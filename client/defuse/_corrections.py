"""Starting corrections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack, cast

from defuse._jobs import OnUpdate, start_job
from defuse._request_fields import Named, enum_value, name_of, new_request_id
from defuse._steps import DEFAULT_TIMEOUT_S, Flow
from defuse.v1.correction_service_pb2 import (
    Correction,
    CorrectionConfig,
    CorrectionPreset,
    CreateCorrectionRequest,
)


class CorrectionSettings(TypedDict, total=False):
    """The fields of CorrectionConfig; what is left out gets the preset's default (`default` or `paper`)."""

    preset: CorrectionPreset | str
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
    wait: bool = True,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
    **config: Unpack[CorrectionSettings],
) -> Flow[Correction]:
    """Fine-tune the audit's classifier on its labeled regions; the result names `corrected_classifier`.

    With `wait`, returns the correction once it has SUCCEEDED, or raises as `wait` does. Without it, returns
    it QUEUED. Raises `NotFound`, or `FailedPrecondition` if no region's label differs from its prediction or
    the model has no gradients.
    """
    request = CreateCorrectionRequest(
        request_id=new_request_id(),
        display_name=display_name,
        audit=name_of(audit),
        config=_correction_config(config),
    )
    return (yield from start_job(request, Correction, wait, on_update, timeout_s))


def _correction_config(settings: CorrectionSettings) -> CorrectionConfig:
    fields = {name: value for name, value in settings.items() if name != "preset"}
    preset = enum_value(CorrectionPreset, "CORRECTION_PRESET_", settings.get("preset"))
    return CorrectionConfig(preset=preset, **cast(Any, fields))

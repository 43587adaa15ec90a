"""Starting audits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack, cast

from defuse._jobs import OnUpdate, start_job
from defuse._request_fields import Named, enum_value, name_of, new_request_id
from defuse._steps import DEFAULT_TIMEOUT_S, Flow
from defuse.v1.audit_service_pb2 import (
    Audit,
    AuditConfig,
    ConsensusMethod,
    CreateAuditRequest,
    LabelingConfig,
    Preset,
    SearchMethod,
)


class LabelingSettings(TypedDict, total=False):
    """The fields of LabelingConfig."""

    method: ConsensusMethod | str
    """`majority` or `dawid_skene`."""
    max_annotators_per_region: int
    gold_rate: float


class AuditSettings(TypedDict, total=False):
    """The fields of AuditConfig; what is left out gets the default of the preset, `default` or `paper`."""

    preset: Preset | str
    seed: int
    device: str
    max_seeds: int
    candidates_per_seed: int
    kept_per_seed: int
    noise_scale: float
    neighbours: int
    agreement_threshold: float
    tau: float
    annotators_per_region: int
    methods: Sequence[SearchMethod | str]
    """`neighbourhood`, `gradient`; `paper` with the preset of that name."""
    max_candidates: int
    budget_s: float
    patience_shards: int
    belief_threshold: float
    labeling: LabelingSettings


def start_audit(
    classifier: Named,
    vae: Named,
    dataset: Named,
    *,
    display_name: str = "",
    wait: bool = False,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
    **config: Unpack[AuditSettings],
) -> Flow[Audit]:
    """Start an audit and return it.

    With `wait`, returns the audit once it has SUCCEEDED, or raises as `wait` does. Without it, returns it
    QUEUED. Raises `NotFound`, `InvalidArgument`, or `FailedPrecondition` if one of the three is not READY or
    they do not fit together.
    """
    request = CreateAuditRequest(
        request_id=new_request_id(),
        display_name=display_name,
        classifier=name_of(classifier),
        vae=name_of(vae),
        dataset=name_of(dataset),
        config=_audit_config(config),
    )
    return (yield from start_job(request, Audit, wait, on_update, timeout_s))


def _audit_config(settings: AuditSettings) -> AuditConfig:
    apart = ("preset", "methods", "labeling")
    fields = {name: value for name, value in settings.items() if name not in apart}
    preset = enum_value(Preset, "PRESET_", settings.get("preset"))
    methods = [enum_value(SearchMethod, "SEARCH_METHOD_", method) for method in settings.get("methods", ())]
    labeling = _labeling_config(settings.get("labeling", {}))
    return AuditConfig(preset=preset, methods=methods, labeling=labeling, **cast(Any, fields))


def _labeling_config(settings: LabelingSettings) -> LabelingConfig | None:
    if not settings:
        return None
    return LabelingConfig(
        method=enum_value(ConsensusMethod, "CONSENSUS_METHOD_", settings.get("method")),
        max_annotators_per_region=settings.get("max_annotators_per_region", 0),
        gold_rate=settings.get("gold_rate", 0.0),
    )

"""Audits, their misclassifications and their regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack, cast

from defuse._flow import DEFAULT_TIMEOUT_S, Flow, StreamFlow, paged, resumed, unary
from defuse._jobs import OnUpdate, done
from defuse._requests import Named, enum_value, job_state, name_of, new_request_id
from defuse.v1.audit_service_pb2 import (
    Audit,
    AuditConfig,
    ConsensusMethod,
    CreateAuditRequest,
    DeleteAuditRequest,
    DeleteAuditResponse,
    GetAuditRequest,
    GetRegionRequest,
    GetRegionSplitRequest,
    LabelingConfig,
    ListAuditsRequest,
    ListAuditsResponse,
    ListRegionsRequest,
    ListRegionsResponse,
    Misclassification,
    Preset,
    Region,
    RegionSplit,
    RegionState,
    SearchMethod,
    StreamMisclassificationsRequest,
    StreamMisclassificationsResponse,
    StreamRegionsRequest,
    StreamRegionsResponse,
)
from defuse.v1.models_pb2 import JobState


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
    """Start an audit and return it, QUEUED; with `wait`, return it SUCCEEDED, or raise as `wait` does.

    Raises NotFound, FailedPrecondition (one of the three is not READY, or they don't fit together),
    InvalidArgument.
    """
    request = CreateAuditRequest(
        request_id=new_request_id(),
        display_name=display_name,
        classifier=name_of(classifier),
        vae=name_of(vae),
        dataset=name_of(dataset),
        config=_audit_config(config),
    )
    audit = yield from unary("AuditService/CreateAudit", request, Audit, timeout_s)
    return (yield from done(audit, on_update=on_update, timeout_s=timeout_s)) if wait else audit


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


def get_audit(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Audit]:
    """Return an audit as it stands. Raises NotFound."""
    return unary("AuditService/GetAudit", GetAuditRequest(name=name_of(name)), Audit, timeout_s)


def list_audits(
    *, state: JobState | str | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[Audit]:
    """Hand out all audits, or those in a state (`running`, ...), newest first."""
    wanted = job_state(state)
    return paged(
        "AuditService/ListAudits",
        lambda token: ListAuditsRequest(page_token=token, state=wanted),
        ListAuditsResponse,
        lambda page: page.audits,
        timeout_s,
    )


def delete_audit(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[None]:
    """Delete an audit with its regions and labels. Raises NotFound, FailedPrecondition."""
    request = DeleteAuditRequest(name=name_of(name))
    yield from unary("AuditService/DeleteAudit", request, DeleteAuditResponse, timeout_s)


def misclassifications(
    audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[Misclassification]:
    """Hand out misclassifications as they are found, until the audit has ended, each of them once.

    Survives restarts of the server that take less than `timeout_s`. Raises NotFound.
    """
    name = name_of(audit)
    return resumed(
        "AuditService/StreamMisclassifications",
        lambda cursor: StreamMisclassificationsRequest(name=name, cursor=cursor),
        StreamMisclassificationsResponse,
        lambda message: message.misclassifications,
        cursor="",
        timeout_s=timeout_s,
    )


def misclassification_batches(
    audit: Named, *, cursor: str = "", timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[StreamMisclassificationsResponse]:
    """Hand out misclassifications as `misclassifications` does, many at a time, each time with a cursor.

    A program that keeps the cursor goes on from there after its own restart. Raises NotFound and
    InvalidArgument.
    """
    name = name_of(audit)
    return resumed(
        "AuditService/StreamMisclassifications",
        lambda cursor: StreamMisclassificationsRequest(name=name, cursor=cursor),
        StreamMisclassificationsResponse,
        # A message without any only says that the stream is alive.
        lambda message: [message] if message.misclassifications else [],
        cursor=cursor,
        timeout_s=timeout_s,
    )


def regions(audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> StreamFlow[Region]:
    """Hand out regions as they are found, until the audit has ended, each of them once.

    Survives restarts of the server that take less than `timeout_s`. Raises NotFound.
    """
    name = name_of(audit)
    return resumed(
        "AuditService/StreamRegions",
        lambda cursor: StreamRegionsRequest(name=name, cursor=cursor),
        StreamRegionsResponse,
        lambda message: message.regions,
        cursor="",
        timeout_s=timeout_s,
    )


def get_region(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Region]:
    """Return a region as it stands. Raises NotFound."""
    return unary("AuditService/GetRegion", GetRegionRequest(name=name_of(name)), Region, timeout_s)


def get_region_split(audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[RegionSplit]:
    """Return how the latest split of an audit's MIXED regions stands.

    Raises NotFound: also where no region of it was MIXED yet.
    """
    request = GetRegionSplitRequest(name=f"{name_of(audit)}/split")
    return unary("AuditService/GetRegionSplit", request, RegionSplit, timeout_s)


def list_regions(
    audit: Named,
    *,
    state: RegionState | str | None = None,
    confirmed_only: bool = False,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> StreamFlow[Region]:
    """Hand out an audit's regions as they stand, or those in a state (`labeled`, ...). Raises NotFound."""
    parent = name_of(audit)
    wanted = enum_value(RegionState, "REGION_STATE_", state)
    return paged(
        "AuditService/ListRegions",
        lambda token: ListRegionsRequest(
            parent=parent, page_token=token, state=wanted, confirmed_only=confirmed_only
        ),
        ListRegionsResponse,
        lambda page: page.regions,
        timeout_s,
    )

"""Audits, and what they find: misclassifications, regions and bugs."""

from collections.abc import Sequence
from typing import TypedDict, Unpack

from defuse._calls.flows import paged, resumed, unary
from defuse._calls.request_fields import Named, config_of, enum_value, name_of
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow, StreamFlow
from defuse._operations.jobs import OnUpdate, start_job
from defuse.v1 import audit_service_pb2 as pb


class LabelingSettings(TypedDict, total=False):
    """The fields of LabelingConfig."""

    method: pb.ConsensusMethod | str
    """`majority` or `dawid_skene`."""
    max_annotators_per_region: int
    gold_rate: float


class AuditSettings(TypedDict, total=False):
    """The fields of AuditConfig; what is left out gets the default of the preset, `default` or `paper`."""

    preset: pb.Preset | str
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
    methods: Sequence[pb.SearchMethod | str]
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
) -> Flow[pb.Audit]:
    """Start an audit and return it.

    With `wait`, returns the audit once it has SUCCEEDED, or raises as `wait` does. Without it, returns it
    QUEUED. Raises `NotFound`, `InvalidArgument`, or `FailedPrecondition` if one of the three is not READY or
    they do not fit together.
    """
    request = pb.CreateAuditRequest(
        display_name=display_name,
        classifier=name_of(classifier),
        vae=name_of(vae),
        dataset=name_of(dataset),
        config=config_of(pb.AuditConfig, config),
    )
    return (yield from start_job(request, pb.Audit, wait, on_update, timeout_s))


def misclassifications(
    audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[pb.Misclassification]:
    """Yield each misclassification once, as it is found, until the audit has ended.

    Restarts of the server that take less than `timeout_s` are survived. Raises `NotFound`.
    """
    return resumed(
        pb.StreamMisclassificationsRequest(name=name_of(audit)),
        pb.StreamMisclassificationsResponse,
        lambda message: message.misclassifications,
        timeout_s=timeout_s,
    )


def misclassification_batches(
    audit: Named, *, cursor: str = "", timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[pb.StreamMisclassificationsResponse]:
    """Yield misclassifications as `misclassifications` does, many at a time, each time with a cursor.

    A program that keeps the cursor can go on from there after its own restart. Raises `NotFound`, or
    `InvalidArgument` for a cursor that the server does not know.
    """
    return resumed(
        pb.StreamMisclassificationsRequest(name=name_of(audit), cursor=cursor),
        pb.StreamMisclassificationsResponse,
        # A message without any only says that the stream is alive.
        lambda message: [message] if message.misclassifications else [],
        timeout_s=timeout_s,
    )


def regions(audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> StreamFlow[pb.Region]:
    """Yield each region once, as it is found, until the audit has ended.

    Restarts of the server that take less than `timeout_s` are survived. Raises `NotFound`.
    """
    return resumed(
        pb.StreamRegionsRequest(name=name_of(audit)),
        pb.StreamRegionsResponse,
        lambda message: message.regions,
        timeout_s=timeout_s,
    )


def get_region(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[pb.Region]:
    """Return a region as it stands. Raises `NotFound`."""
    return unary(pb.GetRegionRequest(name=name_of(name)), pb.Region, timeout_s)


def bugs(audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> StreamFlow[pb.Bug]:
    """Yield each bug once, as it is found, until the audit has ended.

    Restarts of the server that take less than `timeout_s` are survived. Raises `NotFound`.
    """
    return resumed(
        pb.StreamBugsRequest(name=name_of(audit)),
        pb.StreamBugsResponse,
        lambda message: message.bugs,
        timeout_s=timeout_s,
    )


def get_bug(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[pb.Bug]:
    """Return a bug as it stands. Raises `NotFound`."""
    return unary(pb.GetBugRequest(name=name_of(name)), pb.Bug, timeout_s)


def list_bugs(
    audit: Named,
    *,
    state: pb.RegionState | str | None = None,
    confirmed_only: bool = False,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> StreamFlow[pb.Bug]:
    """Yield an audit's bugs as they stand, or those in a state (`labeled`, ...). Raises `NotFound`."""
    request = pb.ListBugsRequest(
        parent=name_of(audit), state=enum_value(pb.RegionState, state), confirmed_only=confirmed_only
    )
    return paged(request, pb.ListBugsResponse, lambda page: page.bugs, timeout_s)


def get_region_split(audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[pb.RegionSplit]:
    """Return the state of the latest region split of an audit, which divides its MIXED bugs.

    Raises `NotFound`, also if nothing of the audit was MIXED yet.
    """
    request = pb.GetRegionSplitRequest(name=f"{name_of(audit)}/split")
    return unary(request, pb.RegionSplit, timeout_s)


def list_regions(
    audit: Named,
    *,
    state: pb.RegionState | str | None = None,
    confirmed_only: bool = False,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> StreamFlow[pb.Region]:
    """Yield an audit's regions as they stand, or those in a state (`labeled`, ...). Raises `NotFound`."""
    request = pb.ListRegionsRequest(
        parent=name_of(audit), state=enum_value(pb.RegionState, state), confirmed_only=confirmed_only
    )
    return paged(request, pb.ListRegionsResponse, lambda page: page.regions, timeout_s)

"""What an audit finds: misclassifications and regions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from defuse._calls import paged, resumed, unary
from defuse._request_fields import Named, enum_value, name_of
from defuse._steps import DEFAULT_TIMEOUT_S, Flow, StreamFlow
from defuse.v1 import audit_service_pb2 as pb

T = TypeVar("T")


def misclassifications(
    audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[pb.Misclassification]:
    """Yield each misclassification once, as it is found, until the audit has ended.

    Restarts of the server that take less than `timeout_s` are survived. Raises `NotFound`.
    """
    return _misclassifications(audit, "", timeout_s, lambda message: message.misclassifications)


def misclassification_batches(
    audit: Named, *, cursor: str = "", timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[pb.StreamMisclassificationsResponse]:
    """Yield misclassifications as `misclassifications` does, many at a time, each time with a cursor.

    A program that keeps the cursor can go on from there after its own restart. Raises `NotFound`, or
    `InvalidArgument` for a cursor that the server does not know.
    """
    # A message without any only says that the stream is alive.
    return _misclassifications(
        audit, cursor, timeout_s, lambda message: [message] if message.misclassifications else []
    )


def _misclassifications(
    audit: Named,
    cursor: str,
    timeout_s: float | None,
    items_of: Callable[[pb.StreamMisclassificationsResponse], Iterable[T]],
) -> StreamFlow[T]:
    name = name_of(audit)
    return resumed(
        lambda cursor: pb.StreamMisclassificationsRequest(name=name, cursor=cursor),
        pb.StreamMisclassificationsResponse,
        items_of,
        cursor=cursor,
        timeout_s=timeout_s,
    )


def regions(audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> StreamFlow[pb.Region]:
    """Yield each region once, as it is found, until the audit has ended.

    Restarts of the server that take less than `timeout_s` are survived. Raises `NotFound`.
    """
    name = name_of(audit)
    return resumed(
        lambda cursor: pb.StreamRegionsRequest(name=name, cursor=cursor),
        pb.StreamRegionsResponse,
        lambda message: message.regions,
        timeout_s=timeout_s,
    )


def get_region(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[pb.Region]:
    """Return a region as it stands. Raises `NotFound`."""
    return unary(pb.GetRegionRequest(name=name_of(name)), pb.Region, timeout_s)


def get_region_split(audit: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[pb.RegionSplit]:
    """Return the state of the latest region split of an audit, which divides its MIXED regions.

    Raises `NotFound`, also if no region of the audit was MIXED yet.
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
    parent = name_of(audit)
    wanted = enum_value(pb.RegionState, "REGION_STATE_", state)
    return paged(
        lambda token: pb.ListRegionsRequest(
            parent=parent, page_token=token, state=wanted, confirmed_only=confirmed_only
        ),
        pb.ListRegionsResponse,
        lambda page: page.regions,
        timeout_s,
    )

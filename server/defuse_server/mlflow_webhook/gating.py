"""Gates the versions of accepted events, one after the other. It waits for servers that are down."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

import structlog
from defuse import errors
from defuse.aio import AsyncClient
from defuse.model_registries.errors import AliasMoved, RegistryError, RegistryUnavailable
from defuse.model_registries.gate import gate
from defuse.model_registries.registry import Registry
from defuse.model_registries.request import GateRequest

from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.mlflow_webhook.inbox import Claimed, Event, Inbox

FIRST_DELAY_S: Final = 1.0
LARGEST_DELAY_S: Final = 300.0
FAILURES_MAX: Final = 5
"""A version is given up after this many unexpected errors."""
_POLL_S: Final = 0.5
_REASON_CHARACTERS: Final = 2000

_DOWN = (
    errors.Unavailable,
    errors.DeadlineExceeded,
    RegistryUnavailable,
    errors.Unauthenticated,
    errors.PermissionDenied,
)
"""A server is down, or refuses the credentials. The version is gated once that is repaired."""
_REFUSED = (
    RegistryError,
    errors.ArgumentError,
    errors.InvalidArgument,
    errors.NotFound,
    errors.FailedPrecondition,
    errors.JobFailed,
    errors.JobCancelled,
)
"""The version, its model's tags, or the resources in these tags make gating impossible."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Later:
    """An event that must be handled again."""

    event: Event
    delay_s: float


class Gating:
    """Works through an inbox with a registry and a client of the service."""

    def __init__(self, inbox: Inbox, registry: Registry, client: AsyncClient) -> None:
        self._inbox = inbox
        self._registry = registry
        self._client = client

    async def run(self) -> None:
        """Gate what is due until cancelled, beginning with what an earlier process left."""
        while True:
            try:
                claimed = await self._inbox.claim()
                if claimed is None:
                    await asyncio.sleep(_POLL_S)
                else:
                    await self._handle(claimed)
            except UNREACHABLE as error:
                _log.warning("webhook.store_unreachable", error=str(error))
                await asyncio.sleep(_POLL_S)

    async def _handle(self, claimed: Claimed) -> None:
        with structlog.contextvars.bound_contextvars(
            model=claimed.event.model, version=claimed.event.version, delivery=claimed.delivery
        ):
            async with self._inbox.held(claimed):
                later = await self._later(claimed.event)
            if later is None:
                await self._inbox.finish(claimed)
            else:
                await self._inbox.postpone(claimed, later.event, later.delay_s)

    async def _later(self, event: Event) -> _Later | None:
        """Gate the version. Returns None if it is done, with or without success."""
        try:
            _log.info("webhook.gated", outcome=await self._gated(event))
        except _DOWN as error:
            return _put_off(event, error)
        except AliasMoved as error:
            # Another version was promoted meanwhile: it is the new baseline.
            _log.info("webhook.again", reason=str(error))
            return _Later(replace(event, tries=0), 0.0)
        except UNREACHABLE:
            raise
        except Exception as error:
            if not isinstance(error, _REFUSED) and event.failures + 1 < FAILURES_MAX:
                _log.exception("webhook.failed")
                return _put_off(replace(event, failures=event.failures + 1), error)
            _log.warning("webhook.gave_up", error=str(error))
            return await self._told(event, error)
        return None

    async def _gated(self, event: Event) -> str:
        tags = await asyncio.to_thread(self._registry.tags, event.model)
        if not tags.get("defuse.alias"):
            return "none: the model has no tag defuse.alias"
        request = GateRequest(event.model, event.version)
        gated = await self._client.run_flow_async(
            gate(self._registry, request, timeout_s=self._client.timeout_s)
        )
        return "promoted" if gated.promoted else f"not promoted: {gated.evaluation.name}"

    async def _told(self, event: Event, error: Exception) -> _Later | None:
        """Tag the version with the error."""
        known = isinstance(error, errors.DefuseError)
        reason = str(error) if known else f"unexpected {type(error).__name__}: the webhook's log has more"
        tags = {"defuse.error": reason[:_REASON_CHARACTERS]}
        try:
            await asyncio.to_thread(self._registry.tag, event.model, event.version, tags)
        except RegistryUnavailable as down:
            return _put_off(event, down)
        except RegistryError as gone:
            _log.warning("webhook.untagged", error=str(gone))
        return None


def _put_off(event: Event, error: Exception) -> _Later:
    delay_s = min(LARGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(event.tries, 20))
    _log.warning("webhook.put_off", error=str(error), delay_s=delay_s)
    return _Later(replace(event, tries=event.tries + 1), delay_s)

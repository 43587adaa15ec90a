"""Metrics of the API's calls."""

import asyncio
import contextlib
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import grpc
from prometheus_client import Counter, Gauge, Histogram

from defuse_server.host.metrics import REGISTRY

_RPCS: Final = Counter(
    "defuse_rpcs_total",
    "Calls that ended, by method and gRPC status code. Calls without a good token have the method (refused).",
    ["method", "code"],
    registry=REGISTRY,
)
_SECONDS: Final = Histogram(
    "defuse_rpc_seconds",
    "Duration of calls that ended, in seconds, by method. Watches and streams are left out: they last as "
    "long as their job.",
    ["method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
_OPEN_STREAMS: Final = Gauge(
    "defuse_open_streams", "Watches and streams that are open, by method.", ["method"], registry=REGISTRY
)


@dataclass
class Outcome:
    """How a call ends. Set `code` if it fails."""

    code: grpc.StatusCode = grpc.StatusCode.OK


class CallMetrics:
    """The metrics of one method, such as `AuditService/GetAudit`; an `endless` one lasts as long as a job."""

    def __init__(self, method: str, *, endless: bool) -> None:
        self._method = method
        self._endless = endless
        # From the start, so that the first call, and the first fault of the service, shows as an increase.
        for code in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL):
            _RPCS.labels(method, code.name)

    @contextlib.contextmanager
    def observed(self) -> Generator[Outcome]:
        """Measure a call for as long as the context lasts."""
        outcome = Outcome()
        start_s = time.perf_counter()
        if self._endless:
            _OPEN_STREAMS.labels(self._method).inc()
        try:
            yield outcome
        except asyncio.CancelledError:
            # The caller went away, or its deadline passed.
            outcome.code = grpc.StatusCode.CANCELLED
            raise
        finally:
            if self._endless:
                _OPEN_STREAMS.labels(self._method).dec()
            else:
                _SECONDS.labels(self._method).observe(time.perf_counter() - start_s)
            _RPCS.labels(self._method, outcome.code.name).inc()


def count_refused(code: grpc.StatusCode, method: str = "(refused)") -> None:
    """Count a call that did not reach its handler.

    Without a right token, its method is the caller's word, so it is no label.
    """
    _RPCS.labels(method, code.name).inc()

"""The client for threads."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any, Self, TypeVar, cast

import grpc

from defuse._connection import Connection
from defuse._flow import (
    DEFAULT_TIMEOUT_S,
    Blocking,
    Emit,
    Flow,
    OpenStream,
    Outcome,
    Receive,
    SendStream,
    Sleep,
    Step,
    StreamFlow,
    UnaryCall,
    start_call,
)
from defuse._operations import Operations
from defuse.errors import from_rpc_error

T = TypeVar("T")


class Client(Operations):
    """Speaks to a Defuse server; may be shared between threads.

        with defuse.Client() as client:
            classifier = client.push_classifier("classifier.onnx")

    What is None comes from DEFUSE_ADDRESS (else 127.0.0.1:50151), DEFUSE_TOKEN and DEFUSE_TLS_CA (a file with
    the CA's certificates in PEM). `tls=True` without a CA file trusts the CAs that gRPC brings.

    `timeout_s` is the default of every method's: how long a call may take with its retries, and how long a
    stream or a transfer may find no server. Every method raises what `defuse.errors` draws.
    """

    def __init__(
        self,
        address: str | None = None,
        token: str | None = None,
        *,
        tls_ca: str | os.PathLike[str] | None = None,
        tls: bool = False,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
    ) -> None:
        connection = Connection.resolve(address, token, tls_ca, tls)
        self.address = connection.address
        self.timeout_s = timeout_s
        self._token = connection.token
        self._channel = connection.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; calls under way raise `Cancelled`."""
        self._channel.close()

    def run_flow(self, flow: Flow[T]) -> T:
        """Perform a flow's steps and return its result."""
        try:
            step = next(flow)
            while True:
                step = self._outcome(step).into(flow)
        except StopIteration as end:
            return cast(T, end.value)

    def iterate_flow(self, flow: StreamFlow[T]) -> Iterator[T]:
        """Perform a flow's steps and hand out what it emits."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, Emit):
                    yield step.value
                    step = next(flow)
                else:
                    step = self._outcome(step).into(flow)
        except StopIteration:
            return
        finally:
            flow.close()

    def _outcome(self, step: Step) -> Outcome:
        try:
            return Outcome(self._perform(step))
        except grpc.RpcError as error:
            return Outcome(error=from_rpc_error(error))
        except BaseException as error:
            # Also at Ctrl-C the flow must get to its `finally`, which cancels its stream.
            return Outcome(error=error)

    def _perform(self, step: Step) -> Any:
        match step:
            case UnaryCall():
                return start_call(self._channel.unary_unary, step, step.request, self._token)
            case SendStream():
                return start_call(self._channel.stream_unary, step, step.requests, self._token)
            case OpenStream():
                return start_call(self._channel.unary_stream, step, step.request, self._token)
            case Receive():
                return next(cast(Iterator[Any], step.stream), None)
            case Sleep():
                return time.sleep(step.seconds)
            case Blocking():
                return step.run()

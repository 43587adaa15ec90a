"""The client for threads."""

import time
from collections.abc import Iterator
from typing import Any, Self, TypeVar, cast

import grpc

from defuse._base_client import BaseClient
from defuse._calls import steps
from defuse.errors import from_rpc_error

T = TypeVar("T")


class Client(BaseClient):
    """Talks to a Defuse server. Threads may share one client.

        with defuse.Client() as client:
            classifier = client.push_classifier("classifier.onnx")

    `address`, `token` and `tls_ca` default to DEFUSE_ADDRESS (else 127.0.0.1:50151), DEFUSE_TOKEN and
    DEFUSE_TLS_CA (a PEM file with the CA's certificates). `tls=True` without a CA file trusts gRPC's own CAs.
    If the server asks for a certificate of the client, DEFUSE_TLS_CLIENT_CERT and DEFUSE_TLS_CLIENT_KEY name
    its PEM files.

    `timeout_s` is the default of every method: how long a call may take with its retries, and how long a
    stream or a transfer waits for a server that went away. `defuse.errors` shows everything that methods
    raise. Raises `ArgumentError` for an address that is not `host:port`, and `OSError` if the CA file can't
    be read.
    """

    _grpc = grpc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Calls in progress raise `Cancelled`."""
        self._channel.close()

    def run_flow(self, flow: steps.Flow[T]) -> T:
        """Perform a flow's steps and return its result."""
        try:
            step = next(flow)
            while True:
                step = self._outcome(step).into(flow)
        except StopIteration as end:
            return cast(T, end.value)

    def iterate_flow(self, flow: steps.StreamFlow[T]) -> Iterator[T]:
        """Perform a flow's steps and yield what it emits."""
        try:
            step = next(flow)
            while True:
                if isinstance(step, steps.Emit):
                    yield step.value
                    step = next(flow)
                else:
                    step = self._outcome(step).into(flow)
        except StopIteration:
            return
        finally:
            flow.close()

    def _outcome(self, step: steps.Step) -> steps.Outcome:
        try:
            return steps.Outcome(self._perform(step))
        except BaseException as error:
            # Even at Ctrl-C the flow must reach its `finally`, which cancels its stream.
            return steps.Outcome(error=from_rpc_error(error) if isinstance(error, grpc.RpcError) else error)

    def _perform(self, step: steps.Step) -> Any:
        match step:
            case steps.UnaryCall():
                return steps.start_call(self._channel.unary_unary, step, step.request, self._token)
            case steps.SendStream():
                return steps.start_call(self._channel.stream_unary, step, step.requests, self._token)
            case steps.OpenStream():
                return steps.start_call(self._channel.unary_stream, step, step.request, self._token)
            case steps.Receive():
                return next(cast(Iterator[Any], step.stream), None)
            case steps.Sleep():
                return time.sleep(step.seconds)
            case steps.Blocking():
                return step.run()

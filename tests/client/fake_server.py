"""A real gRPC server whose answers a test writes down."""

import inspect
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from defuse.v1 import (
    artifact_service_pb2,
    audit_service_pb2,
    correction_service_pb2,
    label_service_pb2,
    promotion_service_pb2,
    registry_service_pb2,
    status_service_pb2,
)
from google.protobuf import any_pb2, duration_pb2, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

SERVICES = {
    name: service
    for module in (
        artifact_service_pb2,
        audit_service_pb2,
        correction_service_pb2,
        label_service_pb2,
        promotion_service_pb2,
        registry_service_pb2,
        status_service_pb2,
    )
    for name, service in module.DESCRIPTOR.services_by_name.items()
}


class Refusal(Exception):
    """Raised by an answer: the call ends with this status and these details."""

    def __init__(
        self, code, message="no", *, reason="", figures=None, fields=(), retry_s=None, domain="defuse.dev"
    ):
        self.status = status_pb2.Status(code=code.value[0], message=message)
        details = []
        if reason:
            details.append(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=figures or {}))
        if fields:
            violations = [{"field": field, "description": text} for field, text in fields]
            details.append(error_details_pb2.BadRequest(field_violations=violations))
        if retry_s is not None:
            delay = duration_pb2.Duration()
            delay.FromNanoseconds(int(retry_s * 1e9))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            self.status.details.append(packed)


UNAVAILABLE = Refusal(grpc.StatusCode.UNAVAILABLE, "the server stops")


class FakeServer(grpc.GenericRpcHandler):
    """Answers `Service/Method` with what `on` gave: each answer once, the last one for ever.

    An answer is a message, a list of messages and refusals, a refusal, or a function of the request.
    """

    def __init__(self, port=0):
        self._answers: dict[str, list[object]] = {}
        self.requests: list[tuple[str, object]] = []
        self.metadata: dict[str, str] = {}
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=[self], options=[("grpc.so_reuseport", 0)])
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self.address = f"127.0.0.1:{self.port}"
        self._server.start()

    def on(self, method: str, *answers: object) -> None:
        self._answers[method] = list(answers)

    def asked(self, method: str) -> list:
        return [request for name, request in self.requests if name == method]

    def stop(self) -> None:
        self._server.stop(0).wait()

    def service(self, handler_call_details):
        service, method = handler_call_details.method.removeprefix("/defuse.v1.").split("/")
        described = SERVICES[service].methods_by_name[method]
        answer = self._stream if described.server_streaming else self._single
        self.metadata = dict(handler_call_details.invocation_metadata)
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
        }[described.client_streaming, described.server_streaming]
        return make(
            lambda request, context: answer(f"{service}/{method}", request, context),
            request_deserializer=message_factory.GetMessageClass(described.input_type).FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _answer(self, method: str, request: object, context: grpc.ServicerContext) -> object:
        if not isinstance(request, Iterator):
            self.requests.append((method, request))
        answers = self._answers.get(method, [Refusal(grpc.StatusCode.UNIMPLEMENTED, f"{method}: no answer")])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            answer = answer(request) if inspect.isfunction(answer) or inspect.ismethod(answer) else answer
        except Refusal as refusal:
            answer = refusal
        if isinstance(answer, Refusal):
            context.abort_with_status(rpc_status.to_status(answer.status))
        return answer

    def _single(self, method, request, context):
        return self._answer(method, request, context)

    def _stream(self, method, request, context) -> Iterable[object]:
        for answer in self._answer(method, request, context):
            if isinstance(answer, Refusal):
                context.abort_with_status(rpc_status.to_status(answer.status))
            yield answer

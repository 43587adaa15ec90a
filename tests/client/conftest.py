"""A real gRPC server whose answers a test writes down, and clients of it: sync, async and the CLI."""

import asyncio
import hashlib
import inspect
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import defuse
import defuse.cli.run
import grpc
import pytest
from defuse import messages
from defuse.messages import Artifact, ContactSheet, LabelingProgress, LabelTask, RegionState
from defuse.v1 import (
    artifact_service_pb2,
    audit_service_pb2,
    correction_service_pb2,
    label_service_pb2,
    promotion_service_pb2,
    registry_service_pb2,
)
from defuse.v1.artifact_service_pb2 import DownloadResponse
from defuse.v1.label_service_pb2 import (
    LeaseLabelTasksResponse,
    ReleaseLabelTaskResponse,
    SkipLabelTaskResponse,
    SubmitLabelResponse,
    UndoLabelResponse,
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
            delay = duration_pb2.Duration(nanos=int(retry_s * 1e9))
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


class InThisThread:
    """An AsyncClient whose coroutines and async iterators are run to their end, as if it were a Client."""

    def __init__(self, *args, **kwargs):
        self._runner = asyncio.Runner()

        async def make():
            return defuse.AsyncClient(*args, **kwargs)

        self._client = self._runner.run(make())

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            return self._runner.run(result) if inspect.iscoroutine(result) else self._items(result)

        return call

    def _items(self, iterator):
        async def take():
            return await anext(iterator, None)

        try:
            while (item := self._runner.run(take())) is not None:
                yield item
        finally:
            self._runner.run(iterator.aclose())

    def close(self):
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture
def server():
    fake = FakeServer()
    yield fake
    fake.stop()


@pytest.fixture(params=[defuse.Client, InThisThread], ids=["sync", "async"])
def client(request, server):
    client = request.param(server.address, timeout_s=10)
    yield client
    client.close()


@pytest.fixture
def refusal() -> type[Refusal]:
    return Refusal


@pytest.fixture
def unavailable() -> Refusal:
    return UNAVAILABLE


@pytest.fixture
def restart() -> Iterator[Callable[[FakeServer], FakeServer]]:
    """Stops a server and starts another at its address."""
    started: list[FakeServer] = []

    def again(old: FakeServer) -> FakeServer:
        old.stop()
        started.append(FakeServer(old.port))
        return started[-1]

    yield again
    for fake in started:
        fake.stop()


@pytest.fixture
def audit() -> Callable[..., messages.Audit]:
    def make(state: str, **fields) -> messages.Audit:
        number = messages.JobState.Value(f"JOB_STATE_{state}")
        return messages.Audit(name="audits/a", state=number, **fields)

    return make


@pytest.fixture(scope="session")
def services() -> dict:
    return SERVICES


class Labeling:
    """Hands out regions in their order, as long as they have no answer and no lease."""

    def __init__(self, server, count, png):
        self.free = list(range(count))
        self.answers = {}
        self.released = []
        self.skipped = {}
        digest = hashlib.sha256(png).hexdigest()
        sheet = Artifact(name=f"artifacts/{digest}", sha256=digest, size_bytes=len(png))
        self.sheet = ContactSheet(artifact=sheet.name, count=4)
        server.on("ArtifactService/GetArtifact", sheet)
        server.on("ArtifactService/Download", lambda request: iter([DownloadResponse(data=png)]))
        server.on("LabelService/LeaseLabelTasks", self.lease)
        server.on("LabelService/SubmitLabel", self.submit)
        server.on("LabelService/UndoLabel", self.undo)
        server.on("LabelService/ReleaseLabelTask", self.release)
        server.on("LabelService/SkipLabelTask", self.skip)
        server.on("LabelService/GetLabelingProgress", LabelingProgress(region_count=count))

    def lease(self, request):
        leased = [self.free.pop(0)] if self.free else []
        tasks = [
            LabelTask(
                region=f"audits/a/regions/{number}",
                sheet=self.sheet,
                class_names=["cat", "dog"],
                lease_token=f"token-{number}",
            )
            for number in leased
        ]
        return LeaseLabelTasksResponse(tasks=tasks)

    def submit(self, request):
        number = int(request.region.rpartition("/")[2])
        assert request.lease_token == f"token-{number}"
        self.answers[number] = str(request.answer).strip()
        return SubmitLabelResponse(state=RegionState.REGION_STATE_LABELED, answer_count=1, wanted_count=1)

    def undo(self, request):
        number = int(request.region.rpartition("/")[2])
        del self.answers[number]
        self.free.insert(0, number)
        return UndoLabelResponse()

    def skip(self, request):
        self.skipped[request.region] = request.reason
        return SkipLabelTaskResponse()

    def release(self, request):
        self.released.append(request.region)
        return ReleaseLabelTaskResponse()


@pytest.fixture(scope="session")
def labeling() -> type[Labeling]:
    return Labeling


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def command(server, monkeypatch, capsys):
    monkeypatch.setenv("DEFUSE_ADDRESS", server.address)

    def run_command(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = defuse.cli.run.run(arguments)
        return Ran(code, *capsys.readouterr())

    return run_command

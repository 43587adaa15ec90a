"""The processes that operators run."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from defuse.v1.artifact_service_pb2 import UploadHeader, UploadRequest
from defuse.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from defuse.v1.audit_service_pb2 import ListAuditsRequest
from defuse.v1.audit_service_pb2_grpc import AuditServiceStub
from defuse.v1.registry_service_pb2 import (
    GetClassifierRequest,
    RegisterClassifierRequest,
    RegistrationState,
)
from defuse.v1.registry_service_pb2_grpc import RegistryServiceStub
from defuse_server.cli import app
from typer.testing import CliRunner

HEAVY = ("torch", "onnxruntime", "onnx", "sklearn", "numpy", "scipy", "defuse_engine")
CLIENTS = ("mlflow", "defuse.aio", "defuse.model_registries", "defuse_server.mlflow_webhook")


class Server:
    """A `defuse-server` process, with its log in a file."""

    def __init__(self, arguments: list[str], folder: Path) -> None:
        self.log = folder / f"{uuid.uuid4().hex}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "defuse_server", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "DEFUSE_LEASE_S": "2"},
                start_new_session=True,
            )

    def ready(self) -> str:
        """The address that it announces."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready: "), self.log.read_text()
        return line.removeprefix("ready: ").strip()

    def children(self, name: str) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):  # one that is ending
                found += [child] if any(name in part for part in child.cmdline()) else []
        return found

    def end(self, patience_s: float = 30.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience_s)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def started(*arguments: str) -> Server:
        servers.append(Server(list(arguments), tmp_path))
        return servers[-1]

    yield started
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait(10)
        if server.process.stdout is not None:
            server.process.stdout.close()


def up(start, folder: Path) -> Server:
    return start(
        *("up", "--address", "127.0.0.1:0", "--web-address", "127.0.0.1:0"),
        *("--state-dir", str(folder), "--store-url", f"{folder}/store"),
    )


def eventually(condition: Callable[[], Any], patience_s: float = 20.0) -> Any:
    deadline_s = time.monotonic() + patience_s
    while not (holds := condition()):
        assert time.monotonic() < deadline_s, "it did not come to hold"
        time.sleep(0.05)
    return holds


@pytest.mark.parametrize(
    "modules", ["defuse_server.serve, defuse_server.backend", "defuse_server.web.server"]
)
def test_the_api_and_the_pages_import_no_numbers_and_no_clients(modules):
    code = (
        f"import sys, json; import defuse_server.cli, {modules}; "
        f"print(json.dumps([name for name in {HEAVY + CLIENTS!r} if name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == []


@pytest.mark.parametrize("command", [[], ["up"], ["api"], ["web"], ["worker"], ["mlflow-webhook"], ["check"]])
def test_every_command_helps(command):
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "DEFUSE_REDIS_URL" in result.output


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["up", "--address", "0.0.0.0:0"], {}, "TLS and a token"),
        (["up", "--web-address", "0.0.0.0:0"], {}, "TLS and a token"),
        (["web", "--web-address", "0.0.0.0:0"], {"DEFUSE_REDIS_URL": "redis://x"}, "TLS and a token"),
        (["worker"], {}, "DEFUSE_REDIS_URL"),
        (["web"], {}, "DEFUSE_REDIS_URL"),
        (["up"], {"DEFUSE_THREADS": "many"}, "threads"),
        (["up", "--signing-key", "none.pem"], {}, "none.pem to be a private key"),
        (["worker"], {"DEFUSE_REDIS_URL": "redis://x", "DEFUSE_SIGNING_KEY": "none.pem"}, "signing-key FILE"),
    ],
)
def test_wrong_settings_are_told_before_anything_starts(tmp_path, arguments, environment, told):
    result = subprocess.run(
        [sys.executable, "-m", "defuse_server", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **environment},
    )
    assert result.returncode == 64
    assert told in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_up_serves_inspects_and_survives_its_worker(start, tmp_path, tiny_models):
    server = up(start, tmp_path)
    with grpc.insecure_channel(server.ready()) as channel:
        (worker,) = eventually(lambda: server.children("defuse_server"))
        worker.kill()
        eventually(lambda: [w for w in server.children("defuse_server") if w.pid != worker.pid])

        page = server.process.stdout.readline()
        assert page.startswith("web: http://127.0.0.1:")
        with urllib.request.urlopen(page.removeprefix("web: ").strip() + "/audits") as answer:
            assert "No audit yet" in answer.read().decode()

        registry = RegistryServiceStub(channel)
        good = register(channel, tiny_models.classifier())
        bad = register(channel, b"no model at all")
        eventually(lambda: state(registry, good) == RegistrationState.REGISTRATION_STATE_READY, 60)
        eventually(lambda: state(registry, bad) == RegistrationState.REGISTRATION_STATE_REJECTED, 60)
        assert registry.GetClassifier(GetClassifierRequest(name=good)).class_count == 2
    assert server.end() == 0
    assert "worker.ended" in server.log.read_text()


def test_up_makes_a_signing_key_once_and_says_so(start, tmp_path):
    first = up(start, tmp_path)
    first.ready()
    assert first.process.stdout.readline().startswith("web: ")
    told = first.process.stdout.readline()
    key = tmp_path / "signing-key.pem"
    assert told == f"signing key: made {key}; evidence is verified with {key}.pub\n"
    made = key.read_bytes()
    (worker,) = eventually(lambda: first.children("defuse_server"))
    eventually(lambda: "signing_key.loaded" in first.log.read_text())
    assert worker.environ()["DEFUSE_SIGNING_KEY"] == str(key)
    assert first.end() == 0

    key.chmod(0o644)
    second = up(start, tmp_path)
    second.ready()
    eventually(lambda: "signing_key.readable_by_others" in second.log.read_text())
    assert second.end() == 0
    assert second.process.stdout.read().count("\n") == 1
    assert key.read_bytes() == made


def test_up_has_its_state_folder_alone_and_leaves_nothing_behind(start, tmp_path):
    first = up(start, tmp_path)
    address = first.ready()
    eventually(lambda: first.children("defuse_server"))
    children = psutil.Process(first.process.pid).children(recursive=True)
    assert len(children) >= 2

    second = up(start, tmp_path)
    assert second.process.wait(30) == 69
    assert "another Valkey runs in" in second.log.read_text()
    with grpc.insecure_channel(address) as channel:
        AuditServiceStub(channel).ListAudits(ListAuditsRequest())

    first.process.kill()  # not even then
    first.process.wait(10)
    eventually(lambda: not any(child.is_running() for child in children))


def register(channel: grpc.Channel, model: bytes) -> str:
    header = UploadHeader(
        upload=f"uploads/{uuid.uuid4()}", sha256=hashlib.sha256(model).hexdigest(), size_bytes=len(model)
    )
    messages = [UploadRequest(header=header), UploadRequest(data=model)]
    artifact = ArtifactServiceStub(channel).Upload(iter(messages))
    request = RegisterClassifierRequest(request_id=str(uuid.uuid4()), artifact=artifact.name)
    return RegistryServiceStub(channel).RegisterClassifier(request).name


def state(registry: RegistryServiceStub, name: str) -> int:
    return registry.GetClassifier(GetClassifierRequest(name=name)).state

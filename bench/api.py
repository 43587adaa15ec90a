"""Measures the API: its start, its memory, and its response to polls while an audit runs.

The processes are those that operators run: `defuse-server api` and `defuse-server worker`, with their own
Valkey. `get_audit_median_ms` is measured by one client that polls 50 times a second over one connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
from defuse.v1.artifact_service_pb2 import UploadHeader, UploadRequest
from defuse.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from defuse.v1.audit_service_pb2 import AuditConfig, CancelAuditRequest, CreateAuditRequest, GetAuditRequest
from defuse.v1.audit_service_pb2_grpc import AuditServiceStub
from defuse.v1.models_pb2 import JobState
from defuse.v1.registry_service_pb2 import (
    GetClassifierRequest,
    GetDatasetRequest,
    GetVaeRequest,
    RegisterClassifierRequest,
    RegisterDatasetRequest,
    RegisterVaeRequest,
    RegistrationState,
)
from defuse.v1.registry_service_pb2_grpc import RegistryServiceStub
from defuse_server.host.valkey import EmbeddedValkey

from tests.models import tiny_models

STARTS = 3
POLLS = 300
PERIOD_S = 0.02
PATIENCE_S = 180


def run(device: str) -> dict[str, object]:
    """Measure, and print each figure as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder), device))


async def _run(folder: Path, device: str) -> dict[str, object]:
    async with EmbeddedValkey(folder / "valkey") as url:
        environment = {
            **os.environ,
            "DEFUSE_REDIS_URL": url,
            "DEFUSE_STORE_URL": str(folder / "store"),
            "DEFUSE_STATE_DIR": str(folder),
            "DEFUSE_ADDRESS": "127.0.0.1:0",
            "DEFUSE_DEVICE": device,
            "DEFUSE_LOG_LEVEL": "warning",
        }
        return await asyncio.to_thread(_measure, environment)


def _measure(environment: dict[str, str]) -> dict[str, object]:
    start_s: list[float] = []
    for _ in range(STARTS):
        before_s = time.monotonic()
        with _process("api", environment) as api:
            _address(api)
            start_s.append(time.monotonic() - before_s)
    with _process("api", environment) as api, _process("worker", environment):
        print(f"start {statistics.median(start_s):.2f} s", flush=True)
        with grpc.insecure_channel(_address(api)) as channel:
            latencies_ms = _polled(channel)
        rss_mib = psutil.Process(api.pid).memory_info().rss / 2**20
    return {
        "start_s": round(statistics.median(start_s), 3),
        "rss_mib": round(rss_mib, 1),
        "get_audit_median_ms": round(statistics.median(latencies_ms), 2),
        "get_audit_p99_ms": round(statistics.quantiles(latencies_ms, n=100)[98], 2),
        "polls": len(latencies_ms),
        "cores": len(os.sched_getaffinity(0)),
    }


def _polled(channel: grpc.Channel) -> list[float]:
    """Return the duration of each poll while an audit runs, in milliseconds."""
    audits = AuditServiceStub(channel)
    audit = audits.CreateAudit(_request(channel)).name
    request, latencies_ms = GetAuditRequest(name=audit), list[float]()
    _wait_until(lambda: audits.GetAudit(request).progress.stage == "identify")
    while len(latencies_ms) < POLLS:
        before_s = time.perf_counter()
        state = audits.GetAudit(request).state
        latencies_ms.append((time.perf_counter() - before_s) * 1000)
        if state != JobState.JOB_STATE_RUNNING:
            raise RuntimeError(
                f"expected a running audit, got {JobState.Name(state)} after {len(latencies_ms)} polls"
            )
        time.sleep(PERIOD_S)
    audits.CancelAudit(CancelAuditRequest(name=audit))
    return latencies_ms


def _request(channel: grpc.Channel) -> CreateAuditRequest:
    """Prepare an audit that outlasts the measurement."""
    registry, tiny = RegistryServiceStub(channel), tiny_models
    classifier = registry.RegisterClassifier(
        RegisterClassifierRequest(request_id=_id(), artifact=_uploaded(channel, tiny.classifier()))
    ).name
    vae = registry.RegisterVae(
        RegisterVaeRequest(
            request_id=_id(),
            encoder_artifact=_uploaded(channel, tiny.encoder()),
            decoder_artifact=_uploaded(channel, tiny.decoder()),
        )
    ).name
    dataset = registry.RegisterDataset(
        RegisterDatasetRequest(
            request_id=_id(), artifact=_uploaded(channel, tiny.dataset((20_000, 400, 400)))
        )
    ).name
    _wait_until(lambda: _is_ready(registry.GetClassifier(GetClassifierRequest(name=classifier))))
    _wait_until(lambda: _is_ready(registry.GetVae(GetVaeRequest(name=vae))))
    _wait_until(lambda: _is_ready(registry.GetDataset(GetDatasetRequest(name=dataset))))
    config = AuditConfig(noise_scale=0.3, candidates_per_seed=10_000)
    return CreateAuditRequest(
        request_id=_id(), classifier=classifier, vae=vae, dataset=dataset, config=config
    )


def _is_ready(resource: Any) -> bool:
    if resource.state == RegistrationState.REGISTRATION_STATE_REJECTED:
        raise RuntimeError(f"{resource.name}: {resource.failure.message}")
    return resource.state == RegistrationState.REGISTRATION_STATE_READY


def _uploaded(channel: grpc.Channel, data: bytes) -> str:
    header = UploadHeader(
        upload=f"uploads/{_id()}", sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)
    )
    pieces = [data[start : start + 65536] for start in range(0, len(data), 65536)]
    messages = [UploadRequest(header=header), *(UploadRequest(data=piece) for piece in pieces)]
    return ArtifactServiceStub(channel).Upload(iter(messages)).name


@contextmanager
def _process(command: str, environment: dict[str, str]) -> Generator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "defuse_server", command], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _address(api: subprocess.Popen[str]) -> str:
    assert api.stdout is not None
    line = api.stdout.readline()
    if not line.startswith("ready: "):
        raise RuntimeError("expected the API to become ready; it ended, see its log above")
    return line.removeprefix("ready: ").strip()


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"the state that was awaited did not come within {PATIENCE_S} s")
        time.sleep(0.1)


def _id() -> str:
    return str(uuid.uuid4())

"""A whole service as operators run it, on a real Valkey, and what its processes export."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from defuse_server.backend import Backend, open_backend
from defuse_server.host.settings import Settings
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from tests.server.worker.tiny_jobs import Tiny


@pytest.fixture
def settings(redis: Redis, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(
        address="127.0.0.1:0",
        web_address="127.0.0.1:0",
        redis_url=redis_url,
        store_url=str(tmp_path / "store"),
        state_dir=tmp_path / "state",
        device="cpu",
        threads=1,
        lease_s=2.0,
    )


@pytest.fixture
async def backend(settings: Settings) -> AsyncIterator[Backend]:
    async with open_backend(settings) as backend:
        yield backend


@pytest.fixture
def tiny(backend: Backend, tiny_models) -> Tiny:
    return Tiny(backend, tiny_models)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate of localhost for two days, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*make.split(), *names, *files], check=True, capture_output=True)
    return cert, key


class Metrics:
    """What a process exports at a moment: the value of each sample by its name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def __getitem__(self, name: str) -> float:
        """The sum of a metric without labels over all, or raises `KeyError`."""
        return self.value(name)

    def value(self, name: str, **labels: str) -> float:
        found = [s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()]
        if not found:
            raise KeyError(f"{name} {labels}")
        return sum(found)


class Service:
    """Processes of `defuse-server` with the settings of a test."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._folder = folder
        self._processes: list[subprocess.Popen[str]] = []
        self.logs: list[Path] = []

    def start(self, command: str, **environment: str) -> list[str]:
        """Start a process, and return what it announces on its standard output."""
        values = self.settings.model_dump(exclude_none=True, exclude={"token"})
        own = {f"DEFUSE_{name.upper()}": str(value) for name, value in values.items()}
        self.logs.append(self._folder / f"{len(self.logs)}-{command}.log")
        with self.logs[-1].open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "defuse_server", command],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **own, **environment},
                start_new_session=True,
            )
        self._processes.append(process)
        assert process.stdout is not None
        lines = {"up": 2, "api": 1, "web": 1}.get(command, 0)
        return [process.stdout.readline().partition(": ")[2].strip() for _ in range(lines)]

    @property
    def pids(self) -> list[int]:
        """The process ids, in the order of their start."""
        return [process.pid for process in self._processes]

    def urls(self, count: int, patience_s: float = 30.0) -> list[str]:
        """The addresses at which `count` processes export their metrics, in the order of their start."""
        deadline_s = time.monotonic() + patience_s
        while True:
            found = [event["url"] for event in self.events("metrics.ready")]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline_s, "".join(log.read_text() for log in self.logs)
            time.sleep(0.05)

    def events(self, name: str) -> list[dict[str, str]]:
        lines = [line for log in self.logs for line in log.read_text().splitlines() if line.endswith("}")]
        return [event for event in map(json.loads, lines) if event.get("event") == name]

    def end(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            if process.stdout is not None:
                process.stdout.close()
        for log in self.logs:
            # pytest shows it where the test failed.
            sys.stderr.write(log.read_text())


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Iterator[Service]:
    service = Service(settings, tmp_path)
    yield service
    service.end()


@pytest.fixture
def scrape() -> Callable[[str], Metrics]:
    """Read a process's metrics as Prometheus does."""

    def read(url: str) -> Metrics:
        with urllib.request.urlopen(url) as answer:
            assert answer.headers["content-type"].startswith("text/plain; version=")
            return Metrics(answer.read().decode())

    return read

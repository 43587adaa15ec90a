"""`defuse-server check` as operators run it: what is wrong, what to do, and the exit code."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis


class Checked:
    """What a check printed: of each subject its findings, and the exit code."""

    def __init__(self, ran: subprocess.CompletedProcess[str]) -> None:
        assert "Traceback" not in ran.stderr, ran.stderr
        self.code = ran.returncode
        self.text = ran.stdout
        self.found: dict[str, list[tuple[str, str]]] = {}
        for line in ran.stdout.splitlines():
            if line.startswith(" "):
                self._advise(line.strip())
                continue
            level, _, rest = line.partition(" ")
            subject, _, told = rest.strip().partition(": ")
            self.found.setdefault(subject, []).append((level, told))
            self._last = subject

    def _advise(self, advice: str) -> None:
        level, told = self.found[self._last].pop()
        self.found[self._last].append((level, f"{told} | {advice}"))

    def levels(self, subject: str) -> list[str]:
        return [level for level, _ in self.found[subject]]

    def told(self, subject: str) -> str:
        return "\n".join(told for _, told in self.found[subject])


@pytest.fixture
def check(tmp_path: Path, redis_url: str) -> Callable[..., Checked]:
    """Run `defuse-server check PROCESS` in an empty folder with these settings."""

    def run(process: str = "api", **settings: object) -> Checked:
        own = {"redis_url": redis_url, "address": "127.0.0.1:0", "web_address": "127.0.0.1:0", **settings}
        environment = {**os.environ, **{f"DEFUSE_{name.upper()}": str(value) for name, value in own.items()}}
        command = [sys.executable, "-m", "defuse_server", "check", process]
        return Checked(
            subprocess.run(
                command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
            )
        )

    return run


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which a program listens that answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Make a self-signed certificate for so many days, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")

    def make(*names: str, days: int = 100) -> dict[str, Path]:
        cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=defuse"
        files = ["-days", str(days), "-keyout", str(key), "-out", str(cert)]
        subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
        return {"tls_cert": cert, "tls_key": key}

    return make


SAN = ("-addext", "subjectAltName=DNS:defuse.example,IP:127.0.0.1")


def test_all_is_well_with_a_fresh_machine(check, tmp_path):
    """Of `up` without any setting: it brings its own Valkey, and runs the engine."""
    checked = check("up", redis_url="", device="cpu")
    # An empty variable is no URL.
    assert checked.levels("Redis") == ["wrong"]
    environment = {key: value for key, value in os.environ.items() if key != "DEFUSE_REDIS_URL"}
    ran = subprocess.run(
        [sys.executable, "-m", "defuse_server", "check", "--device", "cpu", "--address", "127.0.0.1:0"],
        env={**environment, "DEFUSE_WEB_ADDRESS": "127.0.0.1:0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    checked = Checked(ran)
    assert checked.code == 0, checked.text
    assert {level for levels in checked.found.values() for level, _ in levels} == {"ok"}
    assert "Valkey 9" in checked.told("Redis")
    assert "CPUExecutionProvider" in checked.told("onnxruntime")
    assert "ran a tiny job on cpu" in checked.told("engine")
    assert not list((tmp_path / "out" / "defuse" / "store").rglob("*.*"))


def test_a_worker_on_a_device_that_is_not_there(check, tmp_path):
    checked = check("worker", device="cuda:77", signing_key=tmp_path / "none.pem")
    assert checked.code == 1
    assert checked.levels("Redis") == ["ok"]
    assert checked.levels("engine") == ["wrong"]
    assert "cuda:77 was asked for" in checked.told("engine")
    assert "DEFUSE_DEVICE" in checked.told("engine")
    assert "none.pem to be a private key" in checked.told("signing key")
    assert "API" not in checked.found


def test_a_redis_that_is_not_there_or_not_named(check, taken):
    gone = check(redis_url=f"redis://127.0.0.1:{taken + 1 if taken < 65535 else 1}")
    assert (gone.code, gone.levels("Redis")) == (1, ["wrong"])
    assert "connecting to 127.0.0.1" in gone.told("Redis")
    silent = check(redis_url=f"redis://127.0.0.1:{taken}")
    assert (silent.code, silent.levels("Redis")) == (1, ["wrong"])
    odd = check(redis_url="http://127.0.0.1")
    assert "is no URL of a Redis" in odd.told("Redis")


def test_a_password_that_is_wrong(check, redis_url):
    checked = check(redis_url=f"redis://:other@{redis_url.partition('@')[2]}")
    assert (checked.code, checked.levels("Redis")) == (1, ["wrong"])
    assert "redis://:PASSWORD@HOST" in checked.told("Redis")
    assert "other" not in checked.text


async def test_a_redis_that_loses_what_it_was_given(check, redis: Redis):
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    await redis.config_set("appendonly", "no")
    try:
        checked = check()
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("appendonly", "yes")
    assert (checked.code, checked.levels("Redis")) == (1, ["ok", "wrong", "warning"])
    assert "Set maxmemory-policy to noeviction" in checked.told("Redis")
    assert not await redis.keys("defuse:check*")


def test_a_store_that_can_not_be_used(check, tmp_path):
    (tmp_path / "file").write_text("")
    for url, told in ((tmp_path / "file", "Not a directory"), ("nothing://x", "Protocol not known")):
        checked = check(store_url=url)
        assert (checked.code, checked.levels("store")) == (1, ["wrong"])
        assert told in checked.told("store")
        assert " | " in checked.told("store")


def test_addresses_that_others_have_or_that_are_unsafe(check, taken):
    checked = check(address=f"127.0.0.1:{taken}")
    assert (checked.code, checked.levels("API")) == (1, ["wrong"])
    assert "in use by another program" in checked.told("API")
    assert "TLS and a token" in check(address="192.0.2.1:1").told("API")
    assert "TLS and a token" in check("web", web_address="192.0.2.1:1").told("pages")
    assert "TLS and a token" in check(metrics_address="192.0.2.1:1").told("metrics")
    assert "can't listen on 127.0.0.1:door" in check(address="127.0.0.1:door").told("API")
    metrics = check(metrics_address=f"127.0.0.1:{taken}")
    assert metrics.levels("metrics") == ["ok"]
    assert f":{taken} " not in f"{metrics.told('metrics')} "


def test_an_address_of_a_defuse_that_runs_is_fine(check, tmp_path, redis_url):
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    own = {"address": f"127.0.0.1:{ports[0]}", "web_address": f"127.0.0.1:{ports[1]}"}
    environment = {**os.environ, **{f"DEFUSE_{name.upper()}": value for name, value in own.items()}}
    folders = ["--state-dir", str(tmp_path / "state"), "--store-url", str(tmp_path / "store")]
    command = [sys.executable, "-m", "defuse_server", "up", "--redis-url", redis_url, *folders]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            assert running.stdout.readline().startswith("ready: ")
            assert running.stdout.readline().startswith("web: ")
            for process, subject in (("api", "API"), ("web", "pages")):
                checked = check(process, **own)
                assert (checked.code, checked.levels(subject)) == (0, ["ok"])
                assert "in use by a Defuse that runs" in checked.told(subject)
        finally:
            running.terminate()


def test_certificates(check, certificate, tmp_path):
    good = certificate(*SAN)
    checked = check(token="t", **good)
    assert (checked.code, checked.levels("TLS")) == (0, ["ok"])
    assert "defuse.example, 127.0.0.1" in checked.told("TLS")

    good["tls_key"].chmod(0o644)
    assert check(**good).levels("TLS") == ["ok", "warning"]
    other = tmp_path / "other.pem"
    shutil.copy(good["tls_key"], other)
    certificate(*SAN, days=3)
    assert check(**good).levels("TLS")[0] == "warning"
    mixed = check(tls_cert=good["tls_cert"], tls_key=other)
    assert (mixed.code, mixed.levels("TLS")) == (1, ["wrong"])
    assert "mismatch" in mixed.told("TLS").lower()
    nameless = certificate()
    assert "names no host" in check(**nameless).told("TLS")
    assert "gone.pem is no file" in check(tls_cert="gone.pem", tls_key=other).told("TLS")
    assert "got one of them" in check(tls_cert=good["tls_cert"]).told("API")


def test_a_misspelt_setting_is_wrong(check):
    checked = check(lease="7")
    assert checked.code == 1
    assert "DEFUSE_LEASE is no setting" in checked.told("settings")

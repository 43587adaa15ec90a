"""Where a process exports its metrics, who may read them, and what its probes answer."""

import asyncio
import functools
import socket
import ssl

import httpx
import pytest
from defuse_server.backend import open_backend
from defuse_server.host.listen import UnsafeListen
from defuse_server.host.valkey import EmbeddedValkey
from defuse_server.jobs.workers import signs_of_life
from defuse_server.monitoring.metrics_server import MetricsServer
from pydantic import SecretStr

# A name that counts as reachable, as only `localhost` is known to be this machine. It is this machine.
BEYOND = "LOCALHOST:0"


async def get(url: str, verify: ssl.SSLContext | bool = True, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(verify=verify) as client:
        return await client.get(url, headers=headers)


@pytest.fixture
def served(settings):
    """A server of metrics with the settings of a test but for these."""

    class Served:
        def __init__(self, **changed):
            self._settings = settings.model_copy(update=changed)

        async def __aenter__(self) -> MetricsServer:
            self._backend = open_backend(self._settings)
            self._server = MetricsServer(await self._backend.__aenter__(), "api", whole_service=True)
            return await self._server.__aenter__()

        async def __aexit__(self, *error):
            await self._server.__aexit__(*error)
            await self._backend.__aexit__(None, None, None)

    return Served


async def test_prometheus_may_ask_for_open_metrics(served):
    async with served() as server:
        plain = await get(f"{server.url}/metrics")
        open_metrics = await get(
            f"{server.url}/metrics",
            accept="application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.1",
        )
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.text.endswith("# EOF\n")
    assert open_metrics.text.count("# EOF") == 1


async def test_the_size_of_the_store_is_measured(served, scrape, backend):
    await backend.store.put_bytes(b"12345")
    async with served() as server, asyncio.timeout(10):
        seen = {}
        while "defuse_store_bytes 5.0" not in seen:
            await asyncio.sleep(0.05)
            seen = (await asyncio.to_thread(scrape, f"{server.url}/metrics")).text.splitlines()
    assert "defuse_store_up 1.0" in seen


async def test_processes_on_one_machine_take_ports_in_turn(served):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if port > 65000:
            pytest.skip("no port follows the one that the system gave")
        async with (
            served(metrics_address=f"127.0.0.1:{port}") as first,
            served(metrics_address=f"127.0.0.1:{port}") as second,
        ):
            ports = [int(server.url.rpartition(":")[2]) for server in (first, second)]
            assert port < ports[0] < ports[1] < port + 20
            assert (await get(f"{second.url}/healthz")).text == "ok"


async def test_an_empty_address_turns_it_off(served):
    async with served(metrics_address="") as server:
        assert server.url == ""


async def test_beyond_loopback_it_needs_tls_and_a_token(served):
    with pytest.raises(UnsafeListen, match="TLS and a token"):
        async with served(metrics_address=BEYOND):
            pass


async def test_beyond_loopback_the_scraper_shows_the_token(served, certificate):
    cert, key = certificate
    protected = {"tls_cert": cert, "tls_key": key, "token": SecretStr("secret")}
    trust = ssl.create_default_context(cafile=str(cert))
    async with served(metrics_address=BEYOND, **protected) as server:
        url = f"https://localhost:{server.url.rpartition(':')[2]}"
        for shown in ({}, {"authorization": "Bearer other"}, {"authorization": "Basic secret"}):
            answer = await get(f"{url}/metrics", trust, **shown)
            assert answer.status_code == 401
            assert "defuse_redis_up" not in answer.text
        assert "defuse_redis_up" in (await get(f"{url}/metrics", trust, authorization="Bearer secret")).text
        # Probes of an orchestrator have no token.
        probed = await get(f"{url}/readyz", trust)
        assert (probed.status_code, probed.json()) == (200, {"ready": True})
        assert (await get(f"{url}/readyz", trust, authorization="Bearer secret")).json()["workers"] == 0
    async with served(**protected) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert "defuse_redis_up" in (await get(f"{server.url}/metrics")).text


async def test_the_worker_of_up_is_protected_alike(service, settings, certificate):
    cert, key = certificate
    protected = {"metrics_address": BEYOND, "tls_cert": cert, "tls_key": key}
    service.settings = settings.model_copy(update=protected)
    await asyncio.to_thread(functools.partial(service.start, "up", DEFUSE_TOKEN="secret"))
    trust = ssl.create_default_context(cafile=str(cert))
    for announced in await asyncio.to_thread(service.urls, 2):
        url = announced.replace("LOCALHOST", "localhost")
        assert url.startswith("https://")
        assert (await get(url, trust)).status_code == 401
        assert "defuse_redis_up" in (await get(url, trust, authorization="Bearer secret")).text


async def test_readiness_tells_redis_the_store_and_the_workers(served, tmp_path, settings, backend):
    valkey = EmbeddedValkey(tmp_path / "valkey")
    url = await valkey.start()
    store = tmp_path / "a-store"
    async with served(redis_url=url, store_url=str(store)) as server:
        ready = await get(f"{server.url}/readyz")
        assert (ready.status_code, ready.json()) == (
            200,
            {"ready": True, "redis": "", "store": "", "workers": 0},
        )
        store.write_text("no folder")
        broken = await get(f"{server.url}/readyz")
        assert (broken.status_code, broken.json()["ready"]) == (503, False)
        assert "the artifact store can't be used" in broken.json()["store"]
        store.unlink()
        await valkey.stop()
        cut_off = await get(f"{server.url}/readyz")
        assert cut_off.status_code == 503
        assert cut_off.json()["redis"]
        assert cut_off.json()["workers"] is None
        assert (await get(f"{server.url}/healthz")).status_code == 200

    async with served() as server, signs_of_life(backend.redis, "host#1"):
        async with asyncio.timeout(10):
            while (await get(f"{server.url}/readyz")).json()["workers"] != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

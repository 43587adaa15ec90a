"""What the tests of the pages share: the app over a real Valkey, and browsers without a screen."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from defuse_server.backend import Backend, open_backend
from defuse_server.host.settings import Settings
from defuse_server.web.app import create_app
from redis.asyncio import Redis

ORIGIN = "http://localhost:50180"


class Browser:
    """One visitor, with cookies; `post` is what the page's own script sends."""

    def __init__(self, backend: Backend) -> None:
        transport = httpx.ASGITransport(create_app(backend), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url=ORIGIN, follow_redirects=True)
        self.csrf = ""

    async def get(self, path: str, **headers: str) -> httpx.Response:
        answer = await self.http.get(path, headers={"accept": "text/html", **headers})
        if found := re.search(r'(?:name="csrf" value|data-csrf)="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer

    async def sign_in(self, annotator: str, **fields: str) -> httpx.Response:
        await self.get("/sign-in")
        content = {"csrf": self.csrf, "annotator": annotator, "next": "/label", **fields}
        return await self.http.post("/sign-in", data=content, headers={"origin": ORIGIN})

    async def open(self, audit: str) -> httpx.Response:
        """The label page of an audit."""
        return await self.get(f"/label/{audit.partition('/')[2]}")

    async def post(self, audit: str, what: str, content: Any, **headers: str) -> httpx.Response:
        own = {"origin": ORIGIN, "x-csrf-token": self.csrf, **headers}
        return await self.http.post(f"/label/{audit.partition('/')[2]}/{what}", json=content, headers=own)

    async def tasks(self, audit: str, want: int = 1, **content: Any) -> list[dict[str, str]]:
        answer = await self.post(audit, "tasks", {"held": [], "want": want, **content})
        assert answer.status_code == 200, answer.text
        return answer.json()["tasks"]


@pytest.fixture
def settings(redis: Redis, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(
        redis_url=redis_url, store_url=str(tmp_path / "store"), state_dir=tmp_path, web_lease_s=60
    )


@pytest.fixture
async def backend(settings: Settings) -> AsyncIterator[Backend]:
    async with open_backend(settings) as backend:
        yield backend


@pytest.fixture
async def browse(backend: Backend) -> AsyncIterator[Any]:
    """New browsers, signed in where a name is given."""
    async with AsyncExitStack() as stack:

        async def browsed(annotator: str = "") -> Browser:
            browser = Browser(backend)
            await stack.enter_async_context(browser.http)
            if annotator:
                assert (await browser.sign_in(annotator)).status_code == 200
            return browser

        yield browsed


@pytest.fixture
def publish(settings: Settings, pictured_regions: ModuleType) -> Any:
    """Publishes an audit whose regions show these labels, are read as the next class, and came of another."""

    async def published(labels: list[int], classes: int = 10, wanted: int = 1, names: Any = None) -> str:
        shown = [pictured_regions.Shown(n, (n + 1) % classes, (n + 2) % classes) for n in labels]
        names = names or [f"class {n}" for n in range(classes)]
        return await pictured_regions.publish_audit(
            settings.redis_url, settings.store_url, shown, names, wanted=wanted
        )

    return published

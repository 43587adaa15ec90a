"""Measures the label page with a thousand open regions: its responses, and the time from key to next task.

`defuse-server web` runs as operators run it, with its own Valkey. The first figures are measured by one
client over one connection. `key_to_next_ms` is measured in a headless Chromium, from the key's event to the
frame after the next task and its picture are in the page. Before it presses a key, the browser waits until
the next task is loaded: people's pace leaves that time. Without Chromium, the figure is None.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from defuse_server.host.valkey import EmbeddedValkey

from tests.pictured_regions import Shown, publish_audit

REGIONS = 1000
CLASSES = 10
REQUESTS = 60
KEYS = 40
PAUSE_MS = 400
BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]

# Runs in the page. It notes when a key goes down, and the frame in which another task shows.
_STOPWATCH = """() => {
  window.times = [];
  let since = null, before = null;
  const handle = () => document.querySelector('#current .task')?.dataset.handle;
  addEventListener('keydown', () => { since = performance.now(); before = handle(); }, true);
  new MutationObserver(() => {
    const task = document.querySelector('#current .task[data-loaded=true]');
    if (since === null || !task || task.dataset.handle === before) return;
    const start = since;
    since = null;
    requestAnimationFrame(() => setTimeout(() => times.push(performance.now() - start)));
  }).observe(document.getElementById('current'), { childList: true, subtree: true, attributes: true });
}"""


def run(device: str) -> dict[str, object]:
    """Measure, and print each figure as it comes. `device` is not used."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder)))


async def _run(folder: Path) -> dict[str, object]:
    async with EmbeddedValkey(folder / "valkey") as url:
        store = str(folder / "store")
        shown = [Shown(n % CLASSES, (n + 1) % CLASSES, (n + 2) % CLASSES) for n in range(REGIONS)]
        audit = await publish_audit(url, store, shown, [f"class {n}" for n in range(CLASSES)])
        environment = {
            **os.environ,
            "DEFUSE_REDIS_URL": url,
            "DEFUSE_STORE_URL": store,
            "DEFUSE_WEB_ADDRESS": "127.0.0.1:0",
            "DEFUSE_LOG_LEVEL": "warning",
        }
        return await asyncio.to_thread(_measure, environment, audit.partition("/")[2])


def _measure(environment: dict[str, str], audit: str) -> dict[str, object]:
    with _web(environment) as url:
        figures = _answers(url, audit)
        print(figures, flush=True)
        keys_ms = _keys(url, audit)
    return {
        "regions": REGIONS,
        **figures,
        "key_to_next_ms": round(statistics.median(keys_ms), 1) if keys_ms else None,
        "key_to_next_p95_ms": round(statistics.quantiles(keys_ms, n=20)[18], 1) if keys_ms else None,
        "keys": len(keys_ms),
        "cores": len(os.sched_getaffinity(0)),
    }


def _answers(url: str, audit: str) -> dict[str, object]:
    """Return median times of a label page's requests and of the two largest pages of an audit."""
    with httpx.Client(base_url=url, follow_redirects=True, timeout=60) as client:
        csrf = _csrf(client.get("/sign-in").text)
        own = {"origin": url}
        client.post("/sign-in", data={"csrf": csrf, "annotator": "bench", "next": "/"}, headers=own)
        csrf = _csrf(client.get(f"/label/{audit}").text)
        own["x-csrf-token"] = csrf

        def post(what: str, content: Any) -> dict[str, Any]:
            answer = client.post(f"/label/{audit}/{what}", json=content, headers=own)
            answer.raise_for_status()
            return answer.json()

        tasks = iter([post("tasks", {"held": [], "want": 1})["tasks"][0] for _ in range(REQUESTS + 1)])
        picture = next(tasks)["picture"]

        def answer() -> None:
            post("answer", {"handle": next(tasks)["handle"], "answer": {"label": 1}, "note": ""})

        return {
            "label_page_median_ms": _median_ms(lambda: client.get(f"/label/{audit}").raise_for_status()),
            "tasks_median_ms": _median_ms(lambda: post("tasks", {"held": [], "want": 2})),
            "answer_median_ms": _median_ms(answer),
            "picture_median_ms": _median_ms(lambda: client.get(picture).raise_for_status()),
            "audits_median_ms": _median_ms(lambda: client.get("/audits").raise_for_status()),
            "audit_median_ms": _median_ms(lambda: client.get(f"/audits/{audit}").raise_for_status()),
        }


def _keys(url: str, audit: str) -> list[float]:
    """Return the milliseconds from each key to the next task."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("browser skipped: chromium is not installed (apt-get install chromium)", flush=True)
        return []
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=BROWSER).new_page()
        page.goto(f"{url}/label/{audit}")
        page.keyboard.type("browser")
        page.keyboard.press("Enter")
        page.wait_for_selector("#current .task[data-ready]")
        page.evaluate(_STOPWATCH)
        for number in range(KEYS):
            page.wait_for_selector("#current .task[data-ready]")
            page.wait_for_selector("#next .task", state="attached")
            page.wait_for_timeout(PAUSE_MS)
            page.keyboard.press(str(number % CLASSES))
            page.wait_for_function("count => window.times.length === count", arg=number + 1)
        return page.evaluate("window.times")


def _median_ms(request: Callable[[], object]) -> float:
    took_ms: list[float] = []
    for _ in range(REQUESTS):
        before_s = time.perf_counter()
        request()
        took_ms.append((time.perf_counter() - before_s) * 1000)
    return round(statistics.median(took_ms), 1)


def _csrf(text: str) -> str:
    found = re.search(r'(?:name="csrf" value|data-csrf)="([^"]+)"', text)
    if found is None:
        raise RuntimeError("expected a page with the session's CSRF token; it has none")
    return found[1]


@contextmanager
def _web(environment: dict[str, str]) -> Generator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "defuse_server", "web"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("web: "):
            raise RuntimeError("expected the web process to serve; it ended, see its log above")
        yield line.removeprefix("web: ").strip()
    finally:
        process.terminate()
        process.wait(30)

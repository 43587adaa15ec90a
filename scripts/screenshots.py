"""Takes docs/report.png, label.png, audit.png and audits.png of real audits: `make screenshots`.

It audits the demo's handwritten digits twice. The first audit goes through to the verdict. The second, with
another random seed, shows in the list while it runs, and then on the label page. Needs Debian's chromium.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path

import defuse
from playwright.sync_api import Browser, Page, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from examples.digits.data import CLASS_NAMES  # noqa: E402
from examples.digits.demo import CANDIDATES_PER_SEED, KEPT_PER_SEED, RANDOM_SEED, Loop  # noqa: E402
from examples.digits.narration import Narrator  # noqa: E402
from examples.digits.train import train_all  # noqa: E402
from examples.local_server import local_server  # noqa: E402

FOLDER = REPOSITORY / "out" / "screenshots"
DOCS = REPOSITORY / "docs"
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
WIDTH, HEIGHT = 1280, 800
AUDIT_HEIGHT = 3200
"""Tall enough to load the first regions' pictures. The page is cut off below them."""
CARDS_SHOWN = 3
REPORT_HEIGHT = 1690


def main() -> None:
    """Run the audits and take the pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    shutil.rmtree(FOLDER, ignore_errors=True)
    models = train_all(FOLDER / "models", RANDOM_SEED)
    with local_server(FOLDER / "server") as address, defuse.Client(address) as client:
        url = _page_url(FOLDER / "server" / "server.log")
        story = Loop(client, models, FOLDER, Narrator(CLASS_NAMES), RANDOM_SEED).run(time.monotonic())
        client.download(story.evaluation.evidence.html, FOLDER / "report.html")
        first = story.audit
        second = client.start_audit(
            first.classifier,
            first.vae,
            first.dataset,
            seed=RANDOM_SEED + 1,
            candidates_per_seed=CANDIDATES_PER_SEED,
            kept_per_seed=KEPT_PER_SEED,
            display_name="digits, another random seed",
        )
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
            _take(_page(browser, (FOLDER / "report.html").as_uri(), REPORT_HEIGHT), "report")
            _shoot_list(browser, url)
            client.wait(second)
            _shoot_audit(browser, f"{url}/{first.name}")
            _shoot_label(browser, f"{url}/label/{second.name.rpartition('/')[2]}")


def _page_url(log: Path) -> str:
    found = re.search(r"^web: (\S+)$", log.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"expected the server to announce its page in {log}")
    return found[1]


def _shoot_list(browser: Browser, url: str) -> None:
    page = _page(browser, f"{url}/audits", 420)
    # The list refreshes itself. The count appears with the search's first shard.
    page.wait_for_function(
        "() => document.querySelector('#rows td.number').innerText !== '0'", timeout=120_000
    )
    _take(page, "audits")


def _shoot_audit(browser: Browser, address: str) -> None:
    page = _page(browser, address, AUDIT_HEIGHT)
    page.wait_for_load_state("networkidle")
    last = page.locator(".region").nth(CARDS_SHOWN - 1).bounding_box()
    if last is None:
        raise RuntimeError(f"expected {CARDS_SHOWN} regions at {address}")
    page.set_viewport_size({"width": WIDTH, "height": round(last["y"] + last["height"] + 24)})
    _take(page, "audit")


def _shoot_label(browser: Browser, address: str) -> None:
    page = _page(browser, address, HEIGHT)
    page.keyboard.type("ada")
    page.keyboard.press("Enter")
    page.wait_for_selector("#current .task[data-ready]")
    page.keyboard.press("e")
    page.wait_for_selector(".nearest svg")
    page.wait_for_load_state("networkidle")
    _take(page, "label")


def _page(browser: Browser, address: str, height: int) -> Page:
    page = browser.new_page(viewport={"width": WIDTH, "height": height})
    page.goto(address)
    return page


def _take(page: Page, name: str) -> None:
    page.screenshot(path=DOCS / f"{name}.png")
    print(DOCS / f"{name}.png", flush=True)


if __name__ == "__main__":
    main()

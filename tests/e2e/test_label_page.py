"""Annotators at the page, in a real browser, by keyboard alone."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from defuse.v1.audit_service_pb2 import RegionState
from defuse_server.host.valkey import EmbeddedValkey
from playwright.sync_api import Browser, FloatRect, Page, Response, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
LEASE_S = 6.0
READY = "#current .task[data-ready]"
LABELED = RegionState.REGION_STATE_LABELED
PATIENCE_MS = 60_000

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true", reason="needs Debian's chromium"
)


class Web:
    """A `defuse-server web` on a port of its own, that can be killed and started again."""

    def __init__(self, redis_url: str, store_url: str, lease_s: float = LEASE_S) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.redis_url, self.store_url, self.lease_s = redis_url, store_url, lease_s
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def start(self) -> None:
        settings = {
            "DEFUSE_REDIS_URL": self.redis_url,
            "DEFUSE_STORE_URL": self.store_url,
            "DEFUSE_WEB_ADDRESS": self.address,
            "DEFUSE_WEB_LEASE_S": str(self.lease_s),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "defuse_server", "web"],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"web: {self.url}\n"

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass(frozen=True)
class Scene:
    web: Web
    redis_url: str
    store_url: str
    regions: ModuleType

    def audit(self, labels: list[int], classes: int = 10, wanted: int = 1) -> str:
        """An audit whose regions show these labels, and are read as the next class."""
        names = [f"class {label}" for label in range(classes)]
        shown = [self.regions.Shown(label, (label + 1) % classes, (label + 2) % classes) for label in labels]
        return _run(self.regions.publish_audit(self.redis_url, self.store_url, shown, names, wanted=wanted))

    def standing(self, audit: str):
        return _run(self.regions.standing(self.redis_url, audit))


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """On a thread of its own, as playwright keeps a loop on this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, pictured_regions: ModuleType) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("label-page")
    valkey = EmbeddedValkey(folder / "valkey")
    url = asyncio.run(valkey.start())
    web = Web(url, str(folder / "store"))
    web.start()
    yield Scene(web, url, str(folder / "store"), pictured_regions)
    web.kill()
    asyncio.run(valkey.stop())


@pytest.fixture(scope="module")
def browser(scene: Scene) -> Iterator[Browser]:
    """After the scene: its Valkey must start on this thread, which playwright's loop then keeps."""
    assert CHROMIUM is not None, "CI needs Debian's chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@pytest.fixture
def visit(scene: Scene, browser: Browser):
    """Opens an audit's label page as somebody, in a browser of their own."""
    contexts = []

    def visited(
        audit: str, annotator: str, width: int = 1280, height: int = 800, web: Web = scene.web
    ) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{web.url}/label/{audit.partition('/')[2]}")
        page.keyboard.type(annotator)  # the field has the focus
        page.keyboard.press("Enter")
        return page

    yield visited
    for context in contexts:
        context.close()


def handle(page: Page) -> str:
    """Of the task that can be answered now."""
    page.wait_for_selector(READY)
    return page.get_attribute(READY, "data-handle") or ""


def press(page: Page, key: str) -> None:
    """A key at a task, and then the next task, or the word that nothing is left."""
    before = handle(page)
    page.keyboard.press(key)
    page.wait_for_function(
        "before => { const task = document.querySelector('#current > *');"
        " return task.id === 'empty' || (task.dataset.ready && task.dataset.handle !== before) }",
        arg=before,
    )


def saved(page: Page, count: int) -> None:
    """Waits until the server has acknowledged so many answers of this tab."""
    expect(page.locator("#left")).to_contain_text(f"{count} answered by you here", timeout=PATIENCE_MS)


def test_ten_regions_are_labeled_by_keyboard_alone_and_one_is_undone(scene: Scene, visit) -> None:
    labels = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
    audit = scene.audit(labels)
    page = visit(audit, "ann")
    for label in labels[:4]:
        press(page, str(label))
    press(page, "8")  # a slip: it was a 5
    saved(page, 5)
    press(page, "u")
    saved(page, 4)
    assert scene.standing(audit)[4].state != LABELED
    for label in labels[4:]:
        press(page, str(label))
    saved(page, 10)
    expect(page.locator("#empty")).to_contain_text("Nothing is left")
    standing = scene.standing(audit)
    assert [standing[number].label for number in range(10)] == labels
    assert {standing[number].state for number in range(10)} == {LABELED}
    assert {standing[number].answers for number in range(10)} == {1}


def test_the_verdicts_a_note_and_a_skip_have_keys_too(scene: Scene, visit) -> None:
    audit = scene.audit([0, 1, 2, 3])
    page = visit(audit, "ann")
    press(page, "m")
    press(page, "i")
    handle(page)
    page.keyboard.press("n")
    page.keyboard.type("m or 2? <script>alert(1)</script>")
    page.keyboard.press("Escape")
    press(page, "c")
    saved(page, 3)
    handle(page)
    page.keyboard.press("s")
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_contain_text("Skipped")
    # The next one, not the same again.
    expect(page.locator("#empty")).to_contain_text("Nothing is left", timeout=PATIENCE_MS)
    standing = scene.standing(audit)
    assert [(standing[number].state, standing[number].answers) for number in range(4)] == [
        (RegionState.REGION_STATE_MIXED, 1),
        (RegionState.REGION_STATE_INVALID, 1),
        (RegionState.REGION_STATE_UNLABELED, 1),  # who can't tell leaves it to another
        (RegionState.REGION_STATE_UNLABELED, 0),
    ]


def test_a_second_annotator_sees_nothing_of_the_firsts_answers(scene: Scene, visit) -> None:
    labels = [7, 8, 9]
    audit = scene.audit(labels, wanted=2)
    first = visit(audit, "amelie")
    for label in labels[:2]:
        press(first, str(label))
    saved(first, 2)
    second = visit(audit, "ben")
    handle(second)
    received: list[Response] = []
    second.reload()
    second.on("response", lambda answer: received.append(answer))
    seen: list[str] = []
    for label in labels:
        # Regions that amelie answered and the one that she did not look alike, but for their addresses.
        lease = handle(second)
        seen.append(second.locator("#current").inner_html().replace(lease, "HANDLE"))
        press(second, str(label))
    saved(second, 3)
    texts = [answer.url + answer.text() for answer in received if "png" not in answer.url]
    assert len(texts) >= 6  # each answer, and the tasks after it
    assert not any("amelie" in text for text in [*texts, *seen, second.content()])
    assert len(set(seen)) == 1
    press(first, "9")
    saved(first, 3)
    standing = scene.standing(audit)
    assert [(standing[n].label, standing[n].answers) for n in range(3)] == [(7, 2), (8, 2), (9, 2)]


def test_a_lease_ends_while_the_page_sleeps_and_the_page_says_so(scene: Scene, visit) -> None:
    audit = scene.audit([4, 5])
    asleep = visit(audit, "ann")
    handle(asleep)
    # Like a closed lid: the page runs no more, and gives no sign of life.
    session = asleep.context.new_cdp_session(asleep)
    session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    asleep.wait_for_timeout(LEASE_S * 1000 + 500)
    awake = visit(audit, "ben")
    press(awake, "4")
    press(awake, "5")
    saved(awake, 2)
    session.send("Emulation.setScriptExecutionDisabled", {"value": False})
    expect(asleep.locator("#notice")).to_contain_text("went to somebody else", timeout=PATIENCE_MS)
    standing = scene.standing(audit)
    assert [(standing[n].label, standing[n].answers) for n in range(2)] == [(4, 1), (5, 1)]


def test_an_answer_after_the_lease_has_ended_does_not_count_and_says_so(scene: Scene, visit) -> None:
    audit = scene.audit([4])
    late = visit(audit, "ann")
    handle(late)
    late.evaluate("() => { for (let id = 0; id < 10000; id++) clearInterval(id) }")
    late.wait_for_timeout(LEASE_S * 1000 + 500)
    late.keyboard.press("7")
    expect(late.locator("#notice")).to_contain_text("did not count", timeout=PATIENCE_MS)
    press(late, "4")  # it was free still: the page leased it again
    saved(late, 1)
    assert scene.standing(audit)[0].label == 4


def test_an_open_page_keeps_its_lease(scene: Scene, visit) -> None:
    audit = scene.audit([6])
    page = visit(audit, "ann")
    handle(page)
    page.wait_for_timeout(LEASE_S * 1000 + 1500)
    press(page, "6")
    saved(page, 1)
    assert scene.standing(audit)[0].label == 6


@pytest.fixture
def patient_web(scene: Scene) -> Iterator[Web]:
    """One whose leases outlast a restart, however busy the machine is."""
    web = Web(scene.redis_url, scene.store_url, lease_s=600.0)
    web.start()
    yield web
    web.kill()


def test_no_vote_is_lost_when_the_server_is_killed_and_comes_back(
    scene: Scene, visit, patient_web: Web
) -> None:
    audit = scene.audit([1, 2, 3, 4])
    page = visit(audit, "ann", web=patient_web)
    press(page, "1")
    saved(page, 1)
    page.wait_for_selector("#next .task", state="attached")
    patient_web.kill()
    try:
        page.keyboard.press("2")
        expect(page.locator("#notice")).to_contain_text("kept in this browser", timeout=PATIENCE_MS)
        page.wait_for_selector(READY)
        page.keyboard.press("3")
        expect(page.locator("#notice")).to_contain_text("2 answers are kept", timeout=PATIENCE_MS)
    finally:
        patient_web.start()
    saved(page, 3)
    press(page, "4")
    saved(page, 4)
    standing = scene.standing(audit)
    assert [(standing[n].label, standing[n].answers) for n in range(4)] == [(n + 1, 1) for n in range(4)]


def test_a_page_that_is_loaded_again_has_its_tasks_and_its_undo(scene: Scene, visit) -> None:
    audit = scene.audit([1, 2, 3])
    page = visit(audit, "ann")
    press(page, "1")
    saved(page, 1)
    before = handle(page)
    page.reload()
    assert handle(page) == before
    page.keyboard.press("u")
    expect(page.locator("#notice")).to_contain_text("taken back", timeout=PATIENCE_MS)
    saved(page, 0)


@pytest.mark.parametrize(
    "leave",
    [lambda page: page.goto("about:blank"), lambda page: page.get_by_text("Not you?").click()],
    ids=["closed", "signed out"],
)
def test_a_page_that_is_left_gives_its_tasks_to_others_long_before_its_lease_ends(
    scene: Scene, visit, patient_web: Web, leave
) -> None:
    audit = scene.audit([1, 2])
    first = visit(audit, "ann", web=patient_web)
    handle(first)
    second = visit(audit, "ben", web=patient_web)
    expect(second.locator("#empty")).to_contain_text("somebody else has them", timeout=PATIENCE_MS)
    expect(second.locator("#left")).to_contain_text("2 of 2 groups wait for other people")
    leave(first)
    press(second, "1")
    saved(second, 1)


@pytest.mark.parametrize(("classes", "typed"), [(29, "z"), (43, "12\n"), (43, "class 12\n")])
def test_more_classes_than_digits_have_letters_or_are_searched(
    scene: Scene, visit, classes: int, typed: str
) -> None:
    label = 28 if classes == 29 else 12
    audit = scene.audit([label], classes=classes)
    page = visit(audit, "ann")
    handle(page)
    if typed.startswith("class"):
        page.keyboard.press("/")
    page.keyboard.type(typed.rstrip("\n"))
    if typed.endswith("\n"):
        expect(page.locator("#found")).to_contain_text("class 12")
        page.keyboard.press("Enter")
    saved(page, 1)
    assert scene.standing(audit)[0].label == label


@pytest.fixture
def phone(scene: Scene, visit) -> Page:
    """The page with a task, on a phone."""
    page = visit(scene.audit([1]), "ann", width=360, height=740)
    handle(page)
    return page


def boxes(page: Page, selector: str) -> list[FloatRect]:
    found = [element.bounding_box() for element in page.locator(selector).all()]
    assert found
    assert None not in found
    return found


def test_the_page_fits_a_phone(phone: Page) -> None:
    assert phone.evaluate("document.documentElement.scrollWidth") == 360
    assert all(box["x"] + box["width"] <= 360 for box in boxes(phone, ".answers button"))


def test_the_classes_are_in_sight_below_the_pictures(phone: Page) -> None:
    tops = [box["y"] + box["height"] for box in boxes(phone, "#classes button")]
    assert max(tops) <= 740
    picture, *_ = boxes(phone, "#current .tiles:not(.tiles-row) svg")
    assert picture["y"] + picture["height"] <= boxes(phone, ".pick")[0]["y"]


def test_a_thumb_hits_every_answer(phone: Page) -> None:
    assert all(box["height"] >= 44 for box in boxes(phone, ".answers button"))


def test_all_samples_are_large_enough_to_see(phone: Page) -> None:
    widths = [box["width"] for box in boxes(phone, "#current .tiles:not(.tiles-row) svg")]
    assert (len(widths), min(widths) >= 64) == (16, True)


def test_every_key_is_shown(phone: Page) -> None:
    keys = phone.locator("main kbd:visible").all_inner_texts()
    assert sorted(keys) == sorted("0123456789micsuhn")


def test_the_page_reads_well_to_a_screen_reader(scene: Scene, visit) -> None:
    audit = scene.audit([1, 2])
    page = visit(audit, "ann")
    press(page, "1")
    for role, name in (
        ("main", None),
        ("banner", None),
        ("heading", "What do these show?"),
        ("img", "16 samples of one group; they should all show the same thing"),
        ("group", "Classes"),
        ("button", "7 class 7"),
        ("button", "m Mixed: they show different things"),
        ("status", None),
    ):
        assert page.get_by_role(role, name=name, exact=True).count() >= 1, (role, name)
    # The new task has the focus, so that it is read out.
    assert page.evaluate("document.activeElement.className") == "task"

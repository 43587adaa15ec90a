"""A dataset that was pushed with a mistake: its page and the command line tell, in a real browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from defuse import Client
from defuse.messages import Dataset
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from sklearn.datasets import load_digits

from examples.local_server import local_server

CHROMIUM = shutil.which("chromium")
COPIES = 30

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true", reason="needs Debian's chromium"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, str]]:
    """A service as `defuse-server up` starts it: a client of it, and the address of its pages."""
    folder = tmp_path_factory.mktemp("service")
    with local_server(folder) as address, Client(address) as client:
        found = re.search(r"^web: (\S+)$", (folder / "server.log").read_text(), re.MULTILINE)
        assert found is not None
        yield client, found[1]


@pytest.fixture(scope="module")
def pushed(service: tuple[Client, str], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Handwritten digits; thirty test items are train items, too, and the validation split has no nine."""
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target
    train, test = slice(0, 1000), np.r_[1400:1797, 0:COPIES]
    validation = np.flatnonzero(labels[1000:1400] != 9) + 1000
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(
        path,
        x_train=images[train],
        y_train=labels[train],
        x_validation=images[validation],
        y_validation=labels[validation],
        x_test=images[test],
        y_test=labels[test],
    )
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine & <last>"]
    return service[0].push_dataset(path, class_names=names, display_name="digits")


@pytest.fixture
def page(service: tuple[Client, str], pushed: Dataset) -> Iterator[Page]:
    """After the service, as playwright keeps a loop on this thread."""
    assert CHROMIUM is not None, "CI needs Debian's chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{service[1]}/{pushed.name}")
        yield page


def test_a_datasets_page_shows_its_classes_and_what_is_wrong(page: Page) -> None:
    expect(page.locator(".told.open").first).to_contain_text("nine & <last>")
    expect(page.locator(".told.open").last).to_contain_text(
        f"{COPIES} of {397 + COPIES} test items are train items"
    )
    loaded = "image => image.complete && image.naturalWidth > 500"
    page.wait_for_function(f"() => ({loaded})(document.querySelector('.sheet img'))")
    row = page.locator("table").last.locator("tr").last
    expect(row).to_contain_text("nine & <last>")
    assert row.locator("td").all_inner_texts()[0] == "9"
    assert row.locator("td").all_inner_texts()[2] == "0"


def test_examples_of_items_in_two_splits_lie_side_by_side(page: Page, pushed: Dataset) -> None:
    pair = page.locator(".pairs figure").first
    expect(pair).to_be_visible()
    assert pair.locator("svg").count() == 2
    shown = pushed.duplicate_pairs[0]
    expect(pair).to_contain_text(f"{shown.split} {shown.index}, {shown.other_split} {shown.other_index}")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1280


def test_the_picture_of_the_classes_can_be_saved(
    service: tuple[Client, str], pushed: Dataset, tmp_path: Path
) -> None:
    service[0].download(pushed.class_sheet.artifact, tmp_path / "classes.png")
    with Image.open(tmp_path / "classes.png") as picture:
        assert picture.size == (pushed.class_sheet.width, pushed.class_sheet.height)

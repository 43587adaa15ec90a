"""The main job, as `make demo` runs it: the whole loop on handwritten digits over a real service."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from defuse.evidence import verify


@pytest.fixture(scope="module")
def printed(repository: Path) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "examples.digits.demo"],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def demo(printed: str) -> dict[str, Any]:
    return json.loads(printed.strip().splitlines()[-1])


@pytest.mark.timeout(1000)
def test_the_last_line_is_the_contract(demo: dict[str, Any]) -> None:
    assert list(demo) == [
        "verdict",
        "misclassifications",
        "regions",
        "confirmed_bugs",
        "test_accuracy_before",
        "test_accuracy_after",
        "region_accuracy_before",
        "region_accuracy_after",
        "seconds",
    ]
    assert demo["verdict"] in {"PASS", "FAIL", "INCONCLUSIVE"}


def test_no_more_is_repaired_than_was_confirmed(printed: str) -> None:
    repaired = re.findall(r"(\d+) of (\d+) confirmed regions", printed)
    assert repaired
    assert all(int(some) <= int(whole) for some, whole in repaired)
    assert not re.search(r"\d+ of \d+ bugs? repaired", printed)


def test_bugs_are_found_and_repaired(demo: dict[str, Any]) -> None:
    assert demo["misclassifications"] >= demo["regions"] >= demo["confirmed_bugs"] >= 1
    assert demo["region_accuracy_after"] > demo["region_accuracy_before"]


def test_the_evidence_is_about_the_corrected_file(demo: dict[str, Any], repository: Path) -> None:
    folder = repository / "out" / "demo"
    corrected = hashlib.sha256((folder / "corrected.onnx").read_bytes()).hexdigest()
    key = folder / "server" / "state" / "signing-key.pem.pub"
    verified = verify((folder / "evidence.json").read_bytes(), key.read_bytes(), model_sha256=corrected)
    assert verified.verdict == demo["verdict"]


def test_the_report_stands_alone_and_shows_the_regions(demo: dict[str, Any], repository: Path) -> None:
    report = (repository / "out" / "demo" / "report.html").read_text()
    assert report.count("data:image/png;base64,") >= demo["regions"]
    assert 'src="http' not in report

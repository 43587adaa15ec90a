"""`defuse gate` on ONNX files against a real service: what it says, what it leaves, and what that proves."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from tests.e2e.gate_materials import Materials, Ran, run

pytestmark = pytest.mark.xdist_group("gate")

Gate = Callable[..., Ran]


def run_gate(
    materials: Materials, folder: Path, name: str, *options: str, audit: str = "", files: bool = True
) -> Ran:
    """Gate one of the files over an audit, the one with labels by default; evidence goes to `folder`."""
    models = ["--baseline", materials.baseline, "--candidate", str(materials.files[name])]
    where = ["--audit", audit or materials.labeled, "--policy", str(materials.policy)]
    wanted = [
        *("--junit", str(folder / "junit.xml")),
        *("--report", str(folder / "report.html")),
        *("--evidence", str(folder / "evidence.json")),
    ]
    return run(materials.address, "gate", *models, *where, *(wanted if files else []), *options)


@pytest.fixture
def gate(gate_materials: Materials, tmp_path: Path) -> Gate:
    return functools.partial(run_gate, gate_materials, tmp_path)


def verify(materials: Materials, envelope: Path, model: Path, *options: str) -> Ran:
    arguments = [str(envelope), "--key", str(materials.public_key), "--model", str(model), *options]
    # No server is there: it is not asked.
    return run("127.0.0.1:1", "--timeout-s", "1", "verify-evidence", *arguments)


@dataclass(frozen=True)
class Gated:
    """A gate that ran, and where its files are."""

    verdict: str
    model: Path
    ran: Ran
    folder: Path


@pytest.fixture(scope="module", params=["PASS", "FAIL"])
def gated(
    gate_materials: Materials, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Gated:
    name = {"PASS": "better", "FAIL": "worse"}[request.param]
    folder = tmp_path_factory.mktemp("gated")
    ran = run_gate(gate_materials, folder, name)
    return Gated(request.param, gate_materials.files[name], ran, folder)


@pytest.fixture(scope="module")
def document(gated: Gated, gate_materials: Materials) -> dict[str, Any]:
    """What the evidence says, as it was verified with the service's public key."""
    return verify(gate_materials, gated.folder / "evidence.json", gated.model, "--json").document


def test_the_gate_says_its_verdict_and_ends_with_its_exit_code(gated: Gated) -> None:
    assert gated.ran.code == (gated.verdict == "FAIL"), gated.ran.err
    assert gated.ran.out.startswith(f"{gated.verdict}: ")


def test_verification_may_require_a_pass(gated: Gated, gate_materials: Materials) -> None:
    verified = verify(gate_materials, gated.folder / "evidence.json", gated.model, "--require-pass")
    assert verified.code == (gated.verdict == "FAIL"), verified.err


def test_the_evidence_is_about_the_very_file(
    gated: Gated, document: dict[str, Any], gate_materials: Materials
) -> None:
    assert document["verdict"] == gated.verdict
    assert document["candidate"]["sha256"] == hashlib.sha256(gated.model.read_bytes()).hexdigest()
    other = gate_materials.files["baseline"]
    assert verify(gate_materials, gated.folder / "evidence.json", other).code == 65


def test_the_evidence_has_the_policy_with_its_digest(document: dict[str, Any]) -> None:
    policy = document["policy"]
    content = json.dumps(policy["content"], sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(content.encode()).hexdigest() == policy["sha256"]
    assert policy["content"]["checks"]["annotator_agreement"] is None


def test_the_evidence_names_the_vae_and_the_question(document: dict[str, Any]) -> None:
    digests = [*document["vae"].values(), document["evaluation"]["input_digest"]]
    assert [len(digest) for digest in digests if re.fullmatch("[0-9a-f]+", digest)] == [64, 64, 64]


def test_junit_has_a_case_a_check(gated: Gated, document: dict[str, Any]) -> None:
    suite = next(iter(JUnitXml.fromfile(str(gated.folder / "junit.xml"))))
    assert suite.tests == len(document["checks"])
    assert bool(suite.failures) == (gated.verdict == "FAIL")


def test_the_report_stands_alone_with_its_verdict_and_pictures(gated: Gated) -> None:
    report = (gated.folder / "report.html").read_text()
    assert f">{gated.verdict}</span>" in report
    assert "data:image/png;base64," in report
    assert 'src="http' not in report


def test_the_same_command_while_the_first_is_under_way_joins_it(gate: Gate) -> None:
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(gate, "worse", "--seed", "7", "--json", files=False) for _ in range(3)]
    first, *others = (run.result() for run in runs)
    assert first.document["config"]["seed"] == "7"
    assert {other.document["name"] for other in others} == {first.document["name"]}


def test_a_worse_candidate_is_told_by_class_and_region(gate: Gate, tmp_path: Path) -> None:
    ran = gate("worse", "--report", str(tmp_path / "report.md"))
    assert ran.code == 1, ran.err
    assert "FAIL class_accuracy_change, class 1" in ran.out
    assert "FAIL region_accuracy, region 0" in ran.out
    assert "To pass: " in ran.out
    report = (tmp_path / "report.md").read_text()
    assert "class 1 (right)" in report
    assert "region 0 (shows right, read as left)" in report


def test_without_labels_it_is_inconclusive_and_an_error_in_junit(
    gate: Gate, gate_materials: Materials, tmp_path: Path
) -> None:
    ran = gate("better", audit=gate_materials.unlabeled)
    assert ran.code == 2, ran.err
    suite = next(iter(JUnitXml.fromfile(str(tmp_path / "junit.xml"))))
    assert (suite.failures, bool(suite.errors)) == (0, True)
    model = gate_materials.files["better"]
    assert verify(gate_materials, tmp_path / "evidence.json", model).code == 0
    assert verify(gate_materials, tmp_path / "evidence.json", model, "--require-pass").code == 2


def test_the_same_command_takes_the_verdict_that_there_is(gate: Gate) -> None:
    first, second = (gate("better", "--json", files=False) for _ in range(2))
    assert first.document["name"] == second.document["name"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("version: 1\nchecks:\n  clean_acuracy_change: {min: 0}\n", ":3:3: unknown check"),
        ("version: 1\nchecks:\n  region_accuracy: {min: 0.99, samples: 10}\n", ":3:"),
    ],
    ids=["unknown check", "bounds that contradict"],
)
def test_a_wrong_policy_is_64_with_its_line(gate: Gate, tmp_path: Path, text: str, place: str) -> None:
    policy = tmp_path / "wrong.yaml"
    policy.write_text(text)
    ran = gate("better", "--policy", str(policy))
    assert ran.code == 64
    assert f"{policy}{place}" in ran.err
    assert {path.name for path in tmp_path.iterdir()} == {"wrong.yaml"}


def test_a_candidate_with_other_classes_is_64(gate_materials: Materials, tiny_models, tmp_path: Path) -> None:
    import numpy as np

    model = tmp_path / "three.onnx"
    model.write_bytes(tiny_models._linear(np.zeros((6, 3), np.float32), np.zeros(3, np.float32), "logits"))
    models = ["--baseline", gate_materials.baseline, "--candidate", str(model)]
    ran = run(gate_materials.address, "gate", *models, "--audit", gate_materials.labeled)
    assert ran.code == 64
    assert "RESOURCES_MISMATCHED" in ran.err


def test_a_broken_file_is_64(gate_materials: Materials, tmp_path: Path) -> None:
    model = tmp_path / "broken.onnx"
    model.write_bytes(gate_materials.files["better"].read_bytes()[:100])
    models = ["--baseline", gate_materials.baseline, "--candidate", str(model)]
    ran = run(gate_materials.address, "gate", *models, "--audit", gate_materials.labeled)
    assert ran.code == 64
    assert "MODEL_NOT_ONNX" in ran.err


def test_a_service_that_is_not_there_is_69_and_leaves_nothing(
    gate_materials: Materials, tmp_path: Path
) -> None:
    models = ["--baseline", gate_materials.baseline, "--candidate", gate_materials.baseline]
    options = ["--audit", gate_materials.labeled, "--junit", str(tmp_path / "junit.xml")]
    ran = run("127.0.0.1:1", "--timeout-s", "1", "gate", *models, *options)
    assert ran.code == 69
    assert list(tmp_path.iterdir()) == []

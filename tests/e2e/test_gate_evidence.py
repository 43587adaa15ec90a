"""`defuse gate` on ONNX files against a real service: what it says, what it leaves, and what that proves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from junitparser import JUnitXml

from tests.e2e.gate_materials import Materials, Ran, run

Gate = Callable[..., Ran]


@pytest.fixture
def gate(gate_materials: Materials, tmp_path: Path) -> Gate:
    """Gate one of the files, over the audit with labels, with all files of evidence in `tmp_path`."""

    def gated(name: str, *options: str, audit: str = gate_materials.labeled, files: bool = True) -> Ran:
        models = ["--baseline", gate_materials.baseline, "--candidate", str(gate_materials.files[name])]
        where = ["--audit", audit, "--policy", str(gate_materials.policy)]
        wanted = [
            *("--junit", str(tmp_path / "junit.xml")),
            *("--report", str(tmp_path / "report.html")),
            *("--evidence", str(tmp_path / "evidence.json")),
        ]
        return run(gate_materials.address, "gate", *models, *where, *(wanted if files else []), *options)

    return gated


def verify(materials: Materials, envelope: Path, model: Path, *options: str) -> Ran:
    arguments = [str(envelope), "--key", str(materials.public_key), "--model", str(model), *options]
    # No server is there: it is not asked.
    return run("127.0.0.1:1", "--timeout-s", "1", "verify-evidence", *arguments)


@pytest.mark.parametrize(("name", "code", "verdict"), [("better", 0, "PASS"), ("worse", 1, "FAIL")])
def test_the_gate_leaves_evidence_about_the_very_file(
    gate: Gate, gate_materials: Materials, tmp_path: Path, name: str, code: int, verdict: str
) -> None:
    ran = gate(name)
    assert ran.code == code, ran.err
    assert ran.out.splitlines()[1].startswith(verdict)
    model = gate_materials.files[name]
    verified = verify(gate_materials, tmp_path / "evidence.json", model, "--require-pass", "--json")
    assert verified.code == code, verified.err
    document = verified.document
    assert document["verdict"] == verdict
    assert document["candidate"]["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    content = json.dumps(document["policy"]["content"], sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(content.encode()).hexdigest() == document["policy"]["sha256"]
    assert document["policy"]["content"]["checks"]["annotator_agreement"] is None
    for key in ("encoder_sha256", "decoder_sha256"):
        assert len(document["vae"][key]) == 64
    assert len(document["evaluation"]["input_digest"]) == 64

    suite = next(iter(JUnitXml.fromfile(str(tmp_path / "junit.xml"))))
    assert suite.tests == len(document["checks"])
    assert bool(suite.failures) == (verdict == "FAIL")
    html = (tmp_path / "report.html").read_text()
    assert f">{verdict}</span>" in html
    assert "data:image/png;base64," in html
    assert 'src="http' not in html

    other = gate_materials.files["baseline"]
    assert verify(gate_materials, tmp_path / "evidence.json", other).code == 70


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

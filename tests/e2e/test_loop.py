"""The whole loop through the commands that people type, against a service as they start it.

The truth is z0 > 0, the classifier says z0 > 0.5: its one bug is the stripe between, label 1, prediction 0.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Defuse = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def defuse(address: str) -> Defuse:
    """The command `defuse`, run against the service."""

    def run(*arguments: str, answers: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("defuse")), "--address", address, *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, input=answers, timeout=240, check=False
        )

    return run


def document(answer: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.fixture(scope="module")
def registered(defuse: Defuse, models_folder: Path) -> dict[str, str]:
    """Names of classifier, VAE and dataset."""
    files = {kind: str(models_folder / f"{kind}.onnx") for kind in ("classifier", "encoder", "decoder")}
    data = str(models_folder / "dataset.npz")
    names = ("--class-name", "left", "--class-name", "right")
    return {
        "classifier": document(defuse("push", "classifier", files["classifier"], "--json"))["name"],
        "vae": document(defuse("push", "vae", files["encoder"], files["decoder"], "--json"))["name"],
        "dataset": document(defuse("push", "dataset", data, *names, "--json"))["name"],
    }


@pytest.fixture(scope="module")
def audit(defuse: Defuse, registered: dict[str, str]) -> dict[str, Any]:
    """A finished audit."""
    options = [f"--{kind}={name}" for kind, name in registered.items()]
    options += ["--annotators-per-region", "1"]
    name = document(defuse("audit", "start", *options, "--json"))["name"]
    assert defuse("audit", "watch", name).returncode == 0
    return document(defuse("audit", "status", name, "--json"))


@pytest.fixture(scope="module")
def correction(defuse: Defuse, audit: dict[str, Any]) -> dict[str, Any]:
    """The correction after one annotator said `right` to every region."""
    count = audit["region_count"]
    labeled = defuse("label", audit["name"], "--annotator", "ada", answers="right\n" * count)
    assert labeled.returncode == 0, labeled.stderr
    return document(defuse("correct", audit["name"], "--json"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The default policy, but for one annotator a region: nobody could disagree."""
    file = tmp_path_factory.mktemp("policy") / "gate.yaml"
    file.write_text("version: 1\nchecks: {annotator_agreement: off}\n")
    return ["--policy", str(file)]


def test_an_audit_reports_what_it_measured(audit: dict[str, Any]) -> None:
    assert audit["state"] == "JOB_STATE_SUCCEEDED"
    assert audit["preflight"]["readability"] == pytest.approx(1.0)
    assert int(audit["misclassification_count"]) > 0
    assert audit["progress"]["device"] == "cpu"


def test_findings_are_all_in_the_known_stripe(defuse: Defuse, audit: dict[str, Any]) -> None:
    lines = defuse("audit", "findings", audit["name"], "--json").stdout.splitlines()
    assert len(lines) == int(audit["misclassification_count"])
    for finding in map(json.loads, lines):
        assert (finding["seed_label"], finding.get("predicted_class", 0)) == (1, 0)
        assert finding["code"][0] < 0.5


def test_the_region_lies_in_the_stripe(defuse: Defuse, audit: dict[str, Any]) -> None:
    regions = document(defuse("audit", "regions", audit["name"], "--json"))["regions"]
    assert regions
    for region in regions:
        assert -0.1 < region["mean"][0] < 0.6
        assert region["misclassification_rate"]["value"] > 0.8


def test_the_corrected_classifier_passes_the_gate(
    defuse: Defuse,
    registered: dict[str, str],
    audit: dict[str, Any],
    correction: dict[str, Any],
    policy: list[str],
    tmp_path: Path,
) -> None:
    assert correction["state"] == "JOB_STATE_SUCCEEDED"
    candidate = correction["corrected_classifier"]
    models = ["--baseline", registered["classifier"], "--candidate", candidate]
    evaluation = document(defuse("gate", *models, "--audit", audit["name"], *policy, "--json"))
    assert evaluation["verdict"] == "VERDICT_PASS"
    assert evaluation["test_accuracy_after"] > evaluation["test_accuracy_before"]

    corrected = tmp_path / "corrected.onnx"
    assert defuse("download", candidate, str(corrected)).returncode == 0
    assert hashlib.sha256(corrected.read_bytes()).hexdigest() == evaluation["candidate_sha256"]


def test_a_candidate_that_repairs_nothing_fails_the_gate(
    defuse: Defuse,
    registered: dict[str, str],
    audit: dict[str, Any],
    correction: dict[str, Any],
    policy: list[str],
) -> None:
    models = ["--baseline", registered["classifier"], "--candidate", registered["classifier"]]
    answer = defuse("gate", *models, "--audit", audit["name"], *policy, "--json")
    assert correction["confirmed_region_count"] > 0
    assert answer.returncode == 1, answer.stderr
    failed = [
        check["check"] for check in json.loads(answer.stdout)["checks"] if check["verdict"] == "VERDICT_FAIL"
    ]
    # Equal everywhere else: that is no reason to refuse it.
    assert set(failed) == {"region_accuracy"}


def test_wrong_preprocessing_is_named_as_the_likely_cause(
    defuse: Defuse, registered: dict[str, str], models_folder: Path
) -> None:
    classifier = document(
        defuse("push", "classifier", str(models_folder / "classifier.onnx"), "--mean", "5", "--json")
    )["name"]
    options = ["--classifier", classifier, "--vae", registered["vae"], "--dataset", registered["dataset"]]
    answer = defuse("audit", "start", *options, "--watch")
    assert answer.returncode == 70
    assert "PREFLIGHT_CLASSIFIER_ACCURACY" in answer.stderr
    assert "preprocessing" in answer.stderr


def test_cuda_where_there_is_none_is_an_error(defuse: Defuse, registered: dict[str, str]) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has CUDA")
    options = [f"--{kind}={name}" for kind, name in registered.items()]
    answer = defuse("audit", "start", *options, "--device", "cuda:0", "--watch")
    assert answer.returncode == 70
    assert "DEVICE_UNAVAILABLE" in answer.stderr


def test_a_classifier_without_gradient_is_audited_and_its_correction_names_the_operation(
    defuse: Defuse, registered: dict[str, str], tiny_models: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "rounded.onnx").write_bytes(tiny_models.rounded_classifier())
    classifier = document(defuse("push", "classifier", str(tmp_path / "rounded.onnx"), "--json"))["name"]
    options = ["--classifier", classifier, "--vae", registered["vae"], "--dataset", registered["dataset"]]
    options += ["--annotators-per-region", "1"]
    name = document(defuse("audit", "start", *options, "--json"))["name"]
    assert defuse("audit", "watch", name).returncode == 0
    assert defuse("label", name, answers="right\n" * 10).returncode == 0
    answer = defuse("correct", name)
    assert answer.returncode == 70
    assert "MODEL_NOT_DIFFERENTIABLE" in answer.stderr
    assert "Round" in answer.stderr

"""A gate that names no audit makes one, and the next one sees what annotators have said of it since."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import defuse
import pytest
from defuse.messages import Evaluation, JobState, Verdict

POLICY = """
version: 1
checks:
  annotator_agreement: off  # one annotator a region
audit: {annotators_per_region: 1}
"""


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[defuse.Client]:
    with defuse.Client(address) as client:
        yield client


@pytest.fixture(scope="module")
def models(client: defuse.Client, models_folder: Path, tiny_models) -> dict[str, str]:
    """Names of baseline, candidate (without the baseline's bug), VAE and dataset."""
    repaired = models_folder / "repaired.onnx"
    repaired.write_bytes(tiny_models.classifier(boundary=0.0))
    return {
        "baseline": client.push_classifier(models_folder / "classifier.onnx").name,
        "candidate": client.push_classifier(repaired).name,
        "vae": client.push_vae(models_folder / "encoder.onnx", models_folder / "decoder.onnx").name,
        "dataset": client.push_dataset(models_folder / "dataset.npz", class_names=["left", "right"]).name,
    }


@pytest.fixture(scope="module")
def waiting(client: defuse.Client, models: dict[str, str]) -> Evaluation:
    """The first gate, which nobody waits for yet."""
    return client.evaluate(**models, policy=POLICY, wait=False)


@pytest.fixture(scope="module")
def first(client: defuse.Client, waiting: Evaluation) -> Evaluation:
    return client.wait(waiting)


@pytest.fixture(scope="module")
def second(client: defuse.Client, models: dict[str, str], first: Evaluation) -> Evaluation:
    """The gate after every bug was labeled with what the mean of its first region shows."""
    means = {region.name: int(region.mean[0] > 0) for region in client.regions(first.audit)}
    shown = {bug.name: means[bug.cells[0]] for bug in client.bugs(first.audit)}
    for task in client.lease_tasks(first.audit, "ada", max_tasks=len(shown)):
        client.submit_label(task, shown[task.region])
    return client.evaluate(**models, policy=POLICY)


def test_the_gate_makes_its_audit_and_waits_for_it(waiting: Evaluation) -> None:
    assert (waiting.audit_created, waiting.progress.stage) == (True, "audit")


def test_without_labels_the_verdict_is_inconclusive(first: Evaluation) -> None:
    assert first.verdict == Verdict.VERDICT_INCONCLUSIVE
    open_checks = {check.check for check in first.checks if check.verdict == Verdict.VERDICT_INCONCLUSIVE}
    assert {"region_accuracy", "unlabeled_regions"} <= open_checks
    assert first.labeling.unlabeled_count == first.labeling.bug_count > 0
    assert first.labeling.unlabeled_harm_share == 1


def test_the_next_gate_sees_the_labels(first: Evaluation, second: Evaluation) -> None:
    assert second.name != first.name
    assert (second.audit, second.audit_created) == (first.audit, False)
    assert (second.labeling.unlabeled_count, len(second.regions)) == (0, first.labeling.region_count)
    assert second.verdict == Verdict.VERDICT_PASS, second.checks


def test_the_same_question_by_somebody_else_is_answered_at_once(
    client: defuse.Client, models: dict[str, str], second: Evaluation
) -> None:
    again = client.evaluate(**models, policy=POLICY, wait=False)
    assert (again.name, again.state) == (second.name, JobState.JOB_STATE_SUCCEEDED)


def test_a_dataset_without_a_test_split_never_gets_to_the_gate(
    client: defuse.Client, models: dict[str, str], models_folder: Path, tmp_path: Path
) -> None:
    import numpy as np

    arrays = dict(np.load(models_folder / "dataset.npz"))
    del arrays["x_test"], arrays["y_test"]
    np.savez(tmp_path / "without.npz", **arrays)
    with pytest.raises(defuse.Rejected) as rejected:
        client.push_dataset(tmp_path / "without.npz")
    assert "lacks the arrays x_test, y_test" in str(rejected.value)
    assert "classifiers are compared on the test split alone" in str(rejected.value)
    dataset = next(client.list_datasets())
    with pytest.raises(defuse.FailedPrecondition) as refused:
        client.evaluate(**{**models, "dataset": dataset.name}, policy=POLICY)
    assert "REJECTED" in str(refused.value)

"""If you have a classifier and data but no VAE, the service trains one, and an audit can search it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import defuse
import pytest
from defuse.messages import ContactSheet, JobState, Vae, VaeTraining

BUDGET_S = 15


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[defuse.Client]:
    with defuse.Client(address) as client:
        yield client


@pytest.fixture(scope="module")
def training(client: defuse.Client, models_folder: Path) -> VaeTraining:
    """A training that has ended."""
    classifier = client.push_classifier(models_folder / "classifier.onnx")
    dataset = client.push_dataset(models_folder / "dataset.npz", class_names=["left", "right"])
    return client.train_vae(
        classifier, dataset, latent_sizes=[2], budget_s=BUDGET_S, device="cpu", display_name="mine"
    )


@pytest.fixture(scope="module")
def vae(client: defuse.Client, training: VaeTraining) -> Vae:
    return client.get_vae(training.vae)


def test_a_training_chooses_one_of_what_it_tried(training: VaeTraining) -> None:
    assert training.readability > 0.8
    assert sum(point.chosen for point in training.points) == 1
    assert all(point.steps > 0 and point.kl > 0 for point in training.points)


def test_a_training_says_who_reads_what_the_vae_draws(training: VaeTraining) -> None:
    both = training.classifier_readability, training.independent_readability
    assert training.readability == min(one.value for one in both)
    assert all(0 < one.lower <= one.value <= one.upper <= 1 for one in both)
    assert training.flattery.samples > 0
    assert training.readability_summary.startswith("Independent readers still read")


def test_the_record_shows_the_settings(training: VaeTraining) -> None:
    config = training.config
    assert (list(config.latent_sizes), config.budget_s, config.device) == ([2], BUDGET_S, "cpu")


def test_the_vae_is_registered_with_its_origin(vae: Vae, training: VaeTraining) -> None:
    assert (vae.training, vae.latent_size, vae.display_name) == (training.name, 2, "mine")
    assert (vae.image_shape.channels, vae.image_shape.height, vae.image_shape.width) == (1, 2, 3)


def test_reconstructions_and_samples_can_be_looked_at(
    client: defuse.Client, training: VaeTraining, tmp_path: Path
) -> None:
    assert (training.reconstruction_sheet.columns, training.prior_sheet.count) == (10, 64)

    def content(sheet: ContactSheet) -> bytes:
        return client.download(sheet.artifact, tmp_path / "sheet.png").read_bytes()

    for sheet in (training.reconstruction_sheet, training.prior_sheet):
        assert content(sheet).startswith(b"\x89PNG\r\n\x1a\n")


def test_trainings_are_listed(client: defuse.Client, training: VaeTraining) -> None:
    assert [one.name for one in client.list_vae_trainings(state="succeeded")] == [training.name]


def test_the_vae_can_be_searched(client: defuse.Client, training: VaeTraining, vae: Vae) -> None:
    audit = client.wait(client.start_audit(training.classifier, vae, training.dataset, max_seeds=300))
    assert audit.state == JobState.JOB_STATE_SUCCEEDED
    assert audit.preflight.readability > 0.8

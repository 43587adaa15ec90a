"""Who has a classifier and data, but no VAE, gets one by a command, and audits with it."""

from __future__ import annotations

from pathlib import Path

import defuse
from defuse.messages import JobState


def test_a_vae_trained_by_the_service_can_be_searched(address: str, models_folder: Path) -> None:
    with defuse.Client(address) as client:
        classifier = client.push_classifier(models_folder / "classifier.onnx")
        dataset = client.push_dataset(models_folder / "dataset.npz", class_names=["left", "right"])
        training = client.train_vae(classifier, dataset, latent_sizes=[2], budget_s=10)
        assert training.readability > 0.8
        vae = client.get_vae(training.vae)
        assert vae.training == training.name
        audit = client.start_audit(classifier, vae, dataset, max_seeds=300)
        audit = client.wait(audit)
        assert audit.state == JobState.JOB_STATE_SUCCEEDED
        assert audit.preflight.readability > 0.8
        assert [one.name for one in client.list_vae_trainings(state="succeeded")] == [training.name]

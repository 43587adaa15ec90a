"""`defuse vae`: what was tried as a table, the pictures saved, the VAE named."""

import hashlib
from pathlib import Path

import pytest
from defuse.messages import Artifact, ContactSheet, Failure, VaeTraining, VaeTrainingPoint
from defuse.v1.artifact_service_pb2 import DownloadResponse
from defuse.v1.registry_service_pb2 import WatchVaeTrainingResponse

RUNNING, SUCCEEDED, FAILED, CANCELLING = 2, 3, 4, 5
PICTURE = b"a picture"
SHA256 = hashlib.sha256(PICTURE).hexdigest()
OPTIONS = ("--dataset", "datasets/d", "--classifier", "classifiers/c")


@pytest.fixture
def trained(server):
    """A training that succeeded, as the server tells of it."""
    sheet = ContactSheet(artifact=f"artifacts/{SHA256}")
    training = VaeTraining(
        name="vaeTrainings/t",
        state=SUCCEEDED,
        vae="vaes/new",
        readability=0.991,
        readability_summary="2% (1% to 3%) of the reconstructions please the classifier alone.",
        points=[
            VaeTrainingPoint(latent_size=8, feature_weight=4, kl_weight=0.001, readability=0.62, steps=200),
            VaeTrainingPoint(
                latent_size=16, feature_weight=4, kl_weight=0.001, readability=0.991, chosen=True
            ),
        ],
        reconstruction_sheet=sheet,
        prior_sheet=sheet,
    )
    server.on("RegistryService/TrainVae", VaeTraining(name="vaeTrainings/t"))
    server.on("RegistryService/WatchVaeTraining", [WatchVaeTrainingResponse(vae_training=training)])
    server.on("RegistryService/GetVaeTraining", training)
    server.on(
        "ArtifactService/GetArtifact",
        Artifact(name=f"artifacts/{SHA256}", sha256=SHA256, size_bytes=len(PICTURE)),
    )
    server.on("ArtifactService/Download", lambda request: [DownloadResponse(data=PICTURE[request.offset :])])
    return training


@pytest.mark.parametrize("text", ["vaes/new", "99.1%. 2% (1% to 3%) of the", "62.0%", "chosen"])
def test_a_training_ends_with_its_vae_and_the_table_of_what_it_tried(command, trained, tmp_path, text):
    assert text in command("vae", "train", *OPTIONS, "--sheets", str(tmp_path)).out


@pytest.mark.parametrize("picture", ["t-reconstructions.png", "t-prior.png"])
def test_a_training_leaves_its_pictures(command, trained, tmp_path, picture):
    ran = command("vae", "train", *OPTIONS, "--sheets", str(tmp_path / "sheets"))
    assert (tmp_path / "sheets" / picture).read_bytes() == PICTURE
    assert picture in ran.out.replace("\n", "")


@pytest.mark.parametrize(
    ("last", "advice"), [(0.96, "a longer training (--budget-s) still helps"), (0.902, "would bring little")]
)
def test_a_training_says_what_more_time_would_bring(command, trained, tmp_path, last, advice):
    for share, readability in ((0.35, 0.8), (0.61, 0.9), (1.0, last)):
        trained.milestones.add(budget_share=share, readability=readability)
    said = " ".join(command("vae", "show", "vaeTrainings/t", "--sheets", str(tmp_path)).out.split())
    assert f"the second half of the budget took readability from 90.0% to {last:.1%}" in said
    assert advice in said


def test_options_reach_the_server(command, server, trained, tmp_path):
    options = ("--latent-size", "8", "--latent-size", "16", "--budget-s", "60", "--sheets", str(tmp_path))
    command("vae", "train", *OPTIONS, *options)
    (request,) = server.asked("RegistryService/TrainVae")
    assert (request.classifier, request.dataset) == ("classifiers/c", "datasets/d")
    assert (list(request.config.latent_sizes), request.config.budget_s) == ([8, 16], 60)


def test_without_waiting_nothing_is_saved_yet(command, server, tmp_path):
    server.on("RegistryService/TrainVae", VaeTraining(name="vaeTrainings/t", state=RUNNING))
    folder = tmp_path / "sheets"
    ran = command("vae", "train", *OPTIONS, "--no-wait", "--sheets", str(folder), "--json")
    assert ran.code == 0, ran.err
    assert ran.json[0]["name"] == "vaeTrainings/t"
    assert not folder.exists()


def test_a_training_is_shown_later(command, trained, tmp_path):
    ran = command("vae", "show", "vaeTrainings/t", "--sheets", str(tmp_path))
    assert "vaes/new" in ran.out
    assert Path(tmp_path / "t-prior.png").is_file()


def test_a_training_is_shown_as_json_with_its_figures(command, server, trained, tmp_path):
    trained.flattery.value = 0.02
    server.on("RegistryService/GetVaeTraining", trained)
    (shown,) = command("vae", "show", "vaeTrainings/t", "--sheets", str(tmp_path), "--json").json
    assert shown["flattery"]["value"] == 0.02
    assert shown["readability_summary"] == trained.readability_summary


def test_a_training_is_watched_like_every_job(command, trained):
    assert "SUCCEEDED" in command("watch", "vaeTrainings/t").out


def test_a_training_is_cancelled_like_every_job(command, server):
    server.on("RegistryService/CancelVaeTraining", VaeTraining(name="vaeTrainings/t", state=CANCELLING))
    assert "CANCELLING" in command("cancel", "vaeTrainings/t").out


def test_a_failed_training_is_70_with_its_reason(command, server):
    failed = VaeTraining(
        name="vaeTrainings/t", state=FAILED, failure=Failure(reason=60, message="not finite 4 times")
    )
    server.on("RegistryService/TrainVae", VaeTraining(name="vaeTrainings/t"))
    server.on("RegistryService/WatchVaeTraining", [WatchVaeTrainingResponse(vae_training=failed)])
    ran = command("vae", "train", *OPTIONS)
    assert ran.code == 70
    assert "VAE_TRAINING_DIVERGED: not finite 4 times" in ran.err

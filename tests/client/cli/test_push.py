"""`defuse push ...`."""

import pytest
from defuse.messages import Artifact, Classifier, Dataset, RegistrationState, Vae
from defuse.v1.registry_service_pb2 import VaeSpread

READY = RegistrationState.REGISTRATION_STATE_READY


@pytest.fixture
def push(command, server, tmp_path):
    """Push a file whose bytes the server has, with a command's options."""
    server.on("ArtifactService/GetArtifact", lambda request: Artifact(name=request.name))
    server.on(
        "RegistryService/RegisterClassifier", Classifier(name="classifiers/c", state=READY, class_count=10)
    )
    tensors = {"mu": "m", "code": "z", "image": "x"}
    server.on("RegistryService/RegisterVae", Vae(name="vaes/v", state=READY, tensors=tensors))
    server.on("RegistryService/RegisterDataset", Dataset(name="datasets/d", state=READY))
    path = tmp_path / "file"
    path.write_bytes(b"bytes")
    return lambda kind, *options: command("push", kind, str(path), *options)


@pytest.mark.parametrize("kind", ["classifier", "vae", "dataset"])
def test_the_name_of_what_was_pushed_is_shown(push, kind):
    assert f"{kind}s/{kind[0]}" in push(kind).out


def test_json_is_the_classifier(push):
    ran = push("classifier", "--json")
    assert (ran.code, ran.err) == (0, "")
    (document,) = ran.json
    assert (document["name"], document["class_count"]) == ("classifiers/c", 10)


def test_a_classifiers_options_reach_the_server(push, server):
    push("classifier", "--scale", "255", "--mean", "1", "--mean", "2", "--output", "logits")
    (request,) = server.asked("RegistryService/RegisterClassifier")
    assert (request.preprocessing.scale, list(request.preprocessing.mean)) == (255, [1, 2])
    assert request.output_name == "logits"


def test_a_dataset_to_measure_on_reaches_the_server_and_its_figures_are_shown(push, server):
    server.on(
        "RegistryService/RegisterClassifier",
        Classifier(
            name="classifiers/c",
            state=READY,
            dataset_accuracy={"value": 0.42, "samples": 1000},
            warnings=[{"reason": "PREPROCESSING_DOUBTFUL", "message": "better with --scale 255"}],
        ),
    )
    shown = " ".join(push("classifier", "--dataset", "datasets/d").out.split())
    (request,) = server.asked("RegistryService/RegisterClassifier")
    assert request.dataset == "datasets/d"
    assert "42.0% of 1000 validation items" in shown
    assert "PREPROCESSING_DOUBTFUL: better with --scale 255" in shown


def test_a_vaes_warnings_are_shown(push, server):
    warned = Vae(name="vaes/v", state=READY, warnings=[{"reason": "UNSTEADY_OPERATIONS", "message": "draws"}])
    server.on("RegistryService/RegisterVae", warned)
    assert "UNSTEADY_OPERATIONS: draws" in " ".join(push("vae").out.split())


def test_a_vaes_options_reach_the_server(push, server):
    push("vae", "--mu", "m", "--spread-kind", "none", "--code", "z")
    (request,) = server.asked("RegistryService/RegisterVae")
    assert (request.tensors.mu, request.tensors.code, request.decoder_artifact) == ("m", "z", "")
    assert request.tensors.spread_kind == VaeSpread.VAE_SPREAD_NONE


def test_a_vaes_tensors_are_shown(push):
    assert "m, z, x" in push("vae").out


def test_a_datasets_classes_reach_the_server(push, server):
    push("dataset", "--class-name", "cat", "--class-name", "dog")
    (request,) = server.asked("RegistryService/RegisterDataset")
    assert list(request.class_names) == ["cat", "dog"]

"""`defuse push ...`."""

import hashlib

import pytest
from defuse.messages import (
    Artifact,
    Classifier,
    ClassSheet,
    Dataset,
    DatasetDuplicates,
    Failure,
    RegistrationState,
    Vae,
    Warning,  # noqa: A004
)
from defuse.v1.artifact_service_pb2 import DownloadResponse
from defuse.v1.registry_service_pb2 import VaeSpread

READY = RegistrationState.REGISTRATION_STATE_READY
PICTURE = b"a picture"
SHA256 = hashlib.sha256(PICTURE).hexdigest()


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


def test_a_file_that_the_inspection_rejects_is_65(push, server):
    state = RegistrationState.REGISTRATION_STATE_REJECTED
    rejected = Classifier(name="classifiers/c", state=state, failure=Failure(message="no ONNX file"))
    server.on("RegistryService/RegisterClassifier", rejected)
    ran = push("classifier")
    assert (ran.code, "no ONNX file" in ran.err) == (65, True)


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


@pytest.fixture
def looked_at(push, server):
    """The dataset that the server tells of has a picture, a count of duplicates and a warning."""
    found = DatasetDuplicates(
        split="test", other_split="train", size=500, same_count=7, sample_size=400, near_count=30
    )
    dataset = Dataset(
        name="datasets/d",
        state=READY,
        class_names=["cat", "dog"],
        dtype="uint8",
        value_max=1.0,
        class_sheet=ClassSheet(artifact=f"artifacts/{SHA256}", labels=[0, 1]),
        duplicates=[found],
        warnings=[Warning(reason="DUPLICATES_ACROSS_SPLITS", message="split by track")],
    )
    server.on("RegistryService/RegisterDataset", dataset)
    described = Artifact(name=f"artifacts/{SHA256}", sha256=SHA256, size_bytes=len(PICTURE))
    server.on("ArtifactService/GetArtifact", described)
    server.on("ArtifactService/Download", lambda request: [DownloadResponse(data=PICTURE[request.offset :])])
    return dataset


@pytest.mark.parametrize(
    "text",
    [
        "DUPLICATES_ACROSS_SPLITS: split by track",
        "test in train: 7 of 500 the same, 30 near in a sample of 400",
        "0 to 1",
        "/datasets/d on the server's pages",
    ],
)
def test_what_the_inspection_found_in_a_dataset_is_shown(push, looked_at, text):
    assert text in push("dataset").out


def test_the_picture_of_a_datasets_classes_is_saved(push, looked_at, tmp_path):
    ran = push("dataset", "--sheet", str(tmp_path / "classes.png"))
    assert (tmp_path / "classes.png").read_bytes() == PICTURE
    assert "(2 of 2 classes)" in ran.out


def test_json_has_the_picture_and_the_warnings(push, looked_at):
    (document,) = push("dataset", "--json").json
    assert document["class_sheet"]["artifact"] == f"artifacts/{SHA256}"
    assert document["warnings"] == [{"reason": "DUPLICATES_ACROSS_SPLITS", "message": "split by track"}]


def test_a_picture_needs_the_inspection(push, server, tmp_path):
    ran = push("dataset", "--no-wait", "--sheet", str(tmp_path / "classes.png"))
    assert ran.code == 64
    assert "--wait" in ran.err
    assert server.asked("RegistryService/RegisterDataset") == []

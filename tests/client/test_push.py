"""Pushing is uploading, registering, and waiting for the inspection."""

import defuse
import grpc
import pytest
from defuse.messages import Artifact, Classifier, Dataset, Failure, RegistrationState, Vae
from defuse.v1.registry_service_pb2 import (
    ListClassifiersResponse,
    VaeSpread,
    WatchClassifierResponse,
    WatchDatasetResponse,
)

from tests.client.fake_server import UNAVAILABLE, Refusal

INSPECTING = RegistrationState.REGISTRATION_STATE_INSPECTING
READY = RegistrationState.REGISTRATION_STATE_READY
REJECTED = RegistrationState.REGISTRATION_STATE_REJECTED


@pytest.fixture
def model(server, tmp_path):
    server.on("ArtifactService/GetArtifact", lambda request: Artifact(name=request.name))
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    return path


def test_a_pushed_classifier_is_ready_and_carries_its_preprocessing(client, server, model):
    server.on("RegistryService/RegisterClassifier", Classifier(name="classifiers/c", state=INSPECTING))
    states = (
        Classifier(name="classifiers/c", state=INSPECTING),
        Classifier(name="classifiers/c", state=READY, class_count=10),
    )
    server.on("RegistryService/WatchClassifier", [WatchClassifierResponse(classifier=one) for one in states])
    pushed = client.push_classifier(
        model, layout="nhwc", scale=255, mean=[1, 2, 3], std=[4, 5, 6], output_kind="probabilities"
    )
    assert (pushed.state, pushed.class_count) == (READY, 10)
    (request,) = server.asked("RegistryService/RegisterClassifier")
    assert request.artifact.startswith("artifacts/")
    assert (request.preprocessing.layout, request.preprocessing.scale) == (2, 255)
    assert (list(request.preprocessing.mean), list(request.preprocessing.std)) == ([1, 2, 3], [4, 5, 6])
    assert request.output_kind == 2


def test_an_inspection_is_watched_over_a_restart_of_the_server(client, server, model):
    waits = WatchDatasetResponse(dataset=Dataset(name="datasets/d", state=INSPECTING), cursor="1")
    failed = Dataset(name="datasets/d", state=REJECTED, failure=Failure(reason=53, message="60 s"))
    server.on("RegistryService/RegisterDataset", waits.dataset)
    server.on("RegistryService/WatchDataset", [waits, UNAVAILABLE], [WatchDatasetResponse(dataset=failed)])
    with pytest.raises(defuse.Rejected, match="LIMIT_EXCEEDED: 60 s"):
        client.push_dataset(model)
    assert [asked.cursor for asked in server.asked("RegistryService/WatchDataset")] == ["", "1"]


def test_without_wait_the_registration_comes_back_as_it_is(client, server, model):
    server.on("RegistryService/RegisterVae", Vae(name="vaes/v", state=INSPECTING))
    assert client.push_vae(model, model, wait=False).state == INSPECTING


def test_one_file_is_a_vae_whose_tensors_can_be_named(client, server, model):
    server.on("RegistryService/RegisterVae", Vae(name="vaes/v", state=READY))
    client.push_vae(model, mu="m", spread="s", spread_kind="sigma", code="z", image="x")
    (request,) = server.asked("RegistryService/RegisterVae")
    assert (request.encoder_artifact[:10], request.decoder_artifact) == ("artifacts/", "")
    tensors = request.tensors
    assert (tensors.mu, tensors.spread, tensors.code, tensors.image) == ("m", "s", "z", "x")
    assert tensors.spread_kind == VaeSpread.VAE_SPREAD_SIGMA


def test_a_rejected_model_raises_its_failure(client, server, model):
    failure = Failure(reason=30, message="cut off after 5 bytes")
    server.on(
        "RegistryService/RegisterClassifier",
        Classifier(name="classifiers/c", state=REJECTED, failure=failure),
    )
    with pytest.raises(defuse.Rejected, match="MODEL_NOT_ONNX: cut off after 5 bytes"):
        client.push_classifier(model)


def test_a_layout_that_is_none_is_refused_before_anything_is_sent(client, server, model):
    with pytest.raises(defuse.ArgumentError, match=r"nchw, nhwc, flat; got 'hwc'"):
        client.push_classifier(model, layout="hwc")
    assert not server.requests


def test_lists_go_on_over_their_pages(client, server):
    pages = {
        "": ListClassifiersResponse(classifiers=[Classifier(name="classifiers/1")], next_page_token="t"),
        "t": ListClassifiersResponse(classifiers=[Classifier(name="classifiers/2")]),
    }
    server.on("RegistryService/ListClassifiers", lambda request: pages[request.page_token])
    names = [classifier.name for classifier in client.list_classifiers(state="ready")]
    assert names == ["classifiers/1", "classifiers/2"]
    assert {request.state for request in server.asked("RegistryService/ListClassifiers")} == {READY}


def test_an_upload_refused_for_its_size_registers_nothing(client, server, model):
    server.on("ArtifactService/GetArtifact", Refusal(grpc.StatusCode.NOT_FOUND))
    server.on("ArtifactService/Upload", Refusal(grpc.StatusCode.INVALID_ARGUMENT, reason="TOO_LARGE"))
    # The refusal may get lost while the client still sends. It then asks how far the upload is, and goes on.
    server.on("ArtifactService/GetUpload", Refusal(grpc.StatusCode.NOT_FOUND))
    with pytest.raises(defuse.InvalidArgument):
        client.push_classifier(model)
    assert not server.asked("RegistryService/RegisterClassifier")

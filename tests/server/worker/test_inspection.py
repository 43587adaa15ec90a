"""What is registered is opened by the real engine, and becomes READY or REJECTED."""

import io

import numpy as np
import pytest
from defuse.v1.error_reason_pb2 import (
    ERROR_REASON_DATASET_NOT_FINITE,
    ERROR_REASON_MODEL_NOT_ONNX,
    ERROR_REASON_MODEL_SIGNATURE,
)
from defuse.v1.models_pb2 import LAYOUT_FLAT, ImageShape, Preprocessing
from defuse.v1.registry_service_pb2 import (
    REGISTRATION_STATE_INSPECTING,
    REGISTRATION_STATE_READY,
    REGISTRATION_STATE_REJECTED,
    VAE_SPREAD_LOGVAR,
    Classifier,
    Dataset,
    Vae,
    VaeTensors,
)

from tests.models import handmade_classifiers, handmade_vaes


@pytest.fixture
def inspected(tiny):
    """Register something, and return it as its inspection left it."""

    async def inspect(message):
        made = await tiny.submit(message)
        assert made.state == REGISTRATION_STATE_INSPECTING
        return await tiny.until(made.name, lambda one: one.state != REGISTRATION_STATE_INSPECTING)

    return inspect


async def test_inspections_find_out_what_is_registered(tiny, start_worker, inspected):
    start_worker()
    classifier = await tiny.classifier()
    vae = await inspected(
        Vae(
            state=REGISTRATION_STATE_INSPECTING,
            encoder_artifact=await tiny.artifact(tiny.models.encoder()),
            decoder_artifact=await tiny.artifact(tiny.models.decoder()),
        )
    )
    assert vae.state == REGISTRATION_STATE_READY, vae.failure
    assert vae.latent_size == 2
    assert vae.image_shape == ImageShape(channels=1, height=2, width=3)

    dataset = await inspected(
        Dataset(state=REGISTRATION_STATE_INSPECTING, artifact=await tiny.artifact(tiny.models.dataset()))
    )
    assert dataset.state == REGISTRATION_STATE_READY, dataset.failure
    assert list(dataset.class_names) == ["0", "1"]
    assert [(split.split, split.size) for split in dataset.splits] == [
        ("train", 1200),
        ("validation", 300),
        ("test", 300),
    ]
    assert sum(dataset.splits[0].class_counts) == 1200
    assert dataset.value_min < 0 < dataset.value_max

    classifier = await tiny.backend.resources.get(classifier.name)
    assert classifier.state == REGISTRATION_STATE_READY, classifier.failure
    assert classifier.class_count == 2
    assert classifier.input.dtype == "float32"
    assert list(classifier.input.shape) == [-1, 1, 2, 3]
    assert classifier.differentiable
    assert classifier.opset == 17


async def test_a_vae_in_one_file_and_a_named_output_are_ready(tiny, start_worker, inspected):
    start_worker()
    vae = await inspected(
        Vae(state=REGISTRATION_STATE_INSPECTING, encoder_artifact=await tiny.artifact(handmade_vaes.both()))
    )
    assert vae.state == REGISTRATION_STATE_READY, vae.failure
    assert vae.tensors == VaeTensors(
        mu="mu", spread="logvar", spread_kind=VAE_SPREAD_LOGVAR, code="drawn", image="reconstruction"
    )
    heads = {
        "artifact": await tiny.artifact(handmade_classifiers.two_heads()),
        "preprocessing": Preprocessing(layout=LAYOUT_FLAT),
        "state": REGISTRATION_STATE_INSPECTING,
    }
    named = await inspected(Classifier(output_name="logits", **heads))
    assert (named.state, named.output.name) == (REGISTRATION_STATE_READY, "logits"), named.failure
    unnamed = await inspected(Classifier(**heads))
    assert unnamed.failure.reason == ERROR_REASON_MODEL_SIGNATURE
    assert "output_name" in unnamed.failure.message


async def test_bad_files_are_rejected_with_the_reason(tiny, start_worker, inspected):
    start_worker()
    classifier = await tiny.classifier(b"this is no model")
    arrays = dict(np.load(io.BytesIO(tiny.models.dataset())))
    arrays["x_train"][7, 0, 0, 0] = np.nan
    file = io.BytesIO()
    np.savez(file, **arrays)
    dataset = await inspected(
        Dataset(state=REGISTRATION_STATE_INSPECTING, artifact=await tiny.artifact(file.getvalue()))
    )
    assert dataset.state == REGISTRATION_STATE_REJECTED
    assert dataset.failure.reason == ERROR_REASON_DATASET_NOT_FINITE

    classifier = await tiny.backend.resources.get(classifier.name)
    assert classifier.state == REGISTRATION_STATE_REJECTED
    assert classifier.failure.reason == ERROR_REASON_MODEL_NOT_ONNX
    assert classifier.failure.message


async def test_a_resource_that_is_deleted_while_it_waits_is_left_alone(tiny, backend, start_worker):
    gone = await tiny.classifier()
    await backend.resources.delete(gone.name)
    kept = await tiny.classifier()
    start_worker()
    kept = await tiny.until(kept.name, lambda one: one.state != REGISTRATION_STATE_INSPECTING)
    assert kept.state == REGISTRATION_STATE_READY

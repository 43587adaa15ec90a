"""What is registered is opened by the real engine, and becomes READY or REJECTED."""

import io

import numpy as np
import pytest
from defuse.v1.error_reason_pb2 import (
    ERROR_REASON_DATASET_NOT_FINITE,
    ERROR_REASON_MODEL_NOT_ONNX,
    ERROR_REASON_MODEL_NOT_REPEATABLE,
    ERROR_REASON_MODEL_SIGNATURE,
    ERROR_REASON_PREFLIGHT_CLASSIFIER_ACCURACY,
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


async def test_an_inspection_finds_a_classifiers_classes_input_and_operators(tiny, start_worker, inspected):
    start_worker()
    artifact = await tiny.artifact(tiny.models.classifier())
    classifier = await inspected(Classifier(state=REGISTRATION_STATE_INSPECTING, artifact=artifact))
    assert classifier.state == REGISTRATION_STATE_READY, classifier.failure
    assert (classifier.class_count, classifier.opset) == (2, 17)
    assert (classifier.input.dtype, list(classifier.input.shape)) == ("float32", [-1, 1, 2, 3])
    assert classifier.differentiable


async def test_an_inspection_finds_a_vaes_codes_and_images(tiny, start_worker, inspected):
    start_worker()
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


async def test_an_inspection_finds_a_datasets_splits_and_values(tiny, start_worker, inspected):
    start_worker()
    artifact = await tiny.artifact(tiny.models.dataset())
    dataset = await inspected(Dataset(state=REGISTRATION_STATE_INSPECTING, artifact=artifact))
    assert dataset.state == REGISTRATION_STATE_READY, dataset.failure
    assert list(dataset.class_names) == ["0", "1"]
    sizes = {split.split: split.size for split in dataset.splits}
    assert sizes == {"train": 1200, "validation": 300, "test": 300}
    assert sum(dataset.splits[0].class_counts) == 1200
    assert dataset.value_min < 0 < dataset.value_max
    assert dataset.dtype == "float32"


async def test_an_inspection_shows_a_dataset_and_tells_what_is_likely_wrong(
    tiny, backend, start_worker, inspected
):
    start_worker()
    arrays = dict(np.load(io.BytesIO(tiny.models.dataset())))
    arrays["x_test"][:20] = arrays["x_train"][:20]
    arrays["y_test"][:20] = arrays["y_train"][:20]
    file = io.BytesIO()
    np.savez(file, **arrays)
    artifact = await tiny.artifact(file.getvalue())
    dataset = await inspected(Dataset(state=REGISTRATION_STATE_INSPECTING, artifact=artifact))
    assert dataset.state == REGISTRATION_STATE_READY, dataset.failure
    assert {warning.reason for warning in dataset.warnings} == {"VALUES_NEGATIVE", "DUPLICATES_ACROSS_SPLITS"}
    assert [found.same_count for found in dataset.duplicates] == [0, 20, 0]
    assert [(pair.index, pair.other_index) for pair in dataset.duplicate_pairs][:2] == [(0, 0), (1, 1)]
    assert dataset.duplicate_sheet.count == 2 * len(dataset.duplicate_pairs)
    assert list(dataset.class_sheet.labels) == [0, 1]
    for sheet in (dataset.class_sheet, dataset.duplicate_sheet):
        stored = await backend.store.read(sheet.artifact.removeprefix("artifacts/"))
        assert stored.startswith(b"\x89PNG")


async def test_a_classifier_is_measured_on_the_dataset_that_it_names(tiny, start_worker, inspected):
    start_worker()
    _, _, dataset = await tiny.registered()
    named = {"state": REGISTRATION_STATE_INSPECTING, "dataset": dataset}
    right = await inspected(Classifier(artifact=await tiny.artifact(tiny.models.classifier()), **named))
    assert right.state == REGISTRATION_STATE_READY, right.failure
    arrays = np.load(io.BytesIO(tiny.models.dataset()))
    predicted = arrays["x_validation"].reshape(-1, 6) @ tiny.models.BASIS[:, 0] > 0.5
    measured, accuracy = right.dataset_accuracy, float((predicted == arrays["y_validation"]).mean())
    assert (measured.value, measured.samples) == (pytest.approx(accuracy), 300)
    assert measured.lower < accuracy < measured.upper
    assert not right.warnings
    chance = await inspected(
        Classifier(artifact=await tiny.artifact(tiny.models.classifier(boundary=5.0)), **named)
    )
    assert chance.state == REGISTRATION_STATE_REJECTED
    assert chance.failure.reason == ERROR_REASON_PREFLIGHT_CLASSIFIER_ACCURACY
    assert "of 300 validation images" in chance.failure.message


async def test_a_model_that_answers_differently_is_rejected_and_idle_noise_is_a_warning(
    tiny, start_worker, inspected
):
    start_worker()
    vae = await inspected(
        Vae(
            state=REGISTRATION_STATE_INSPECTING,
            encoder_artifact=await tiny.artifact(handmade_vaes.sampling("mu", "logvar", "z")),
            decoder_artifact=await tiny.artifact(handmade_vaes.decoder()),
        )
    )
    assert vae.state == REGISTRATION_STATE_READY, vae.failure
    assert [warning.reason for warning in vae.warnings] == ["UNSTEADY_OPERATIONS"]
    vae = await inspected(
        Vae(
            state=REGISTRATION_STATE_INSPECTING,
            encoder_artifact=await tiny.artifact(handmade_vaes.sampling("z")),
            decoder_artifact=await tiny.artifact(handmade_vaes.decoder()),
        )
    )
    assert vae.failure.reason == ERROR_REASON_MODEL_NOT_REPEATABLE
    assert "RandomNormalLike" in vae.failure.figures["operations"]


async def test_a_vae_may_be_one_file(tiny, start_worker, inspected):
    start_worker()
    vae = await inspected(
        Vae(state=REGISTRATION_STATE_INSPECTING, encoder_artifact=await tiny.artifact(handmade_vaes.both()))
    )
    assert vae.state == REGISTRATION_STATE_READY, vae.failure
    assert vae.tensors == VaeTensors(
        mu="mu", spread="logvar", spread_kind=VAE_SPREAD_LOGVAR, code="drawn", image="reconstruction"
    )


async def test_of_several_outputs_one_must_be_named(tiny, start_worker, inspected):
    start_worker()
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


async def test_a_dataset_with_nan_is_rejected_with_the_reason(tiny, start_worker, inspected):
    start_worker()
    arrays = dict(np.load(io.BytesIO(tiny.models.dataset())))
    arrays["x_train"][7, 0, 0, 0] = np.nan
    file = io.BytesIO()
    np.savez(file, **arrays)
    artifact = await tiny.artifact(file.getvalue())
    dataset = await inspected(Dataset(state=REGISTRATION_STATE_INSPECTING, artifact=artifact))
    assert dataset.state == REGISTRATION_STATE_REJECTED
    assert dataset.failure.reason == ERROR_REASON_DATASET_NOT_FINITE


async def test_a_file_that_is_no_model_is_rejected_with_the_reason(tiny, start_worker, inspected):
    start_worker()
    artifact = await tiny.artifact(b"this is no model")
    classifier = await inspected(Classifier(state=REGISTRATION_STATE_INSPECTING, artifact=artifact))
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

"""The models and the data of a job, opened and checked against each other."""

from __future__ import annotations

from dataclasses import dataclass

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.inputs.dataset import Dataset, load_dataset
from defuse_engine.inputs.repeatable import require_repeatable_classifier, require_repeatable_vae
from defuse_engine.job_folder.job_file import ClassifierInput, DatasetInput, Inputs, VaeInput, required
from defuse_engine.models.device import Runtime
from defuse_engine.models.onnx_graph.vae_halves import cut
from defuse_engine.models.onnx_model import Classifier, Decoder, Encoder
from defuse_engine.models.preprocessing import ImageShape, model_item_shape
from defuse_engine.types import VaeTensors


@dataclass(frozen=True)
class LoadedInputs:
    """The models and the data that a search works with."""

    classifier: Classifier
    encoder: Encoder
    decoder: Decoder
    dataset: Dataset
    runtime: Runtime
    vae_is_ours: bool = False
    """Whether `defuse vae train` made the VAE."""


def load_inputs(inputs: Inputs, runtime: Runtime) -> LoadedInputs:
    """Open classifier, VAE and dataset of a job.

    Raises `InvalidDataset`, or `InvalidModel` if a file is bad or does not fit the dataset (MODEL_SIGNATURE,
    MODEL_CLASS_COUNT, VAE_SHAPE_MISMATCH, VAE_LATENT_MISMATCH), or answers its items differently each time
    (MODEL_NOT_REPEATABLE).
    """
    dataset = open_dataset(required(inputs.dataset))
    classifier = open_classifier(required(inputs.classifier), dataset, runtime)
    vae = required(inputs.vae)
    encoder, decoder = _open_vae(vae, dataset, runtime)
    return LoadedInputs(classifier, encoder, decoder, dataset, runtime, vae.is_ours)


def open_dataset(entry: DatasetInput) -> Dataset:
    """Read the dataset of a job."""
    return load_dataset(entry.file, entry.layout, entry.class_names)


def open_classifier(
    entry: ClassifierInput, dataset: Dataset, runtime: Runtime, what: str = "the classifier"
) -> Classifier:
    """Open a classifier; raises MODEL_SIGNATURE or MODEL_CLASS_COUNT if it does not fit the dataset.

    Raises MODEL_NOT_REPEATABLE if it answers items of the dataset differently when it is asked again.
    """
    classifier = Classifier(
        entry.file.read_bytes(), entry.preprocessing, entry.output_kind, runtime, what, entry.output
    )
    _require_shape(classifier, dataset.image_shape, what, Reason.MODEL_SIGNATURE)
    classes = classifier(dataset.validation.images(slice(0, 1))).shape[1]
    named = bool(dataset.class_names)
    if classes < dataset.class_count or (named and classes != dataset.class_count):
        raise InvalidModel(
            Reason.MODEL_CLASS_COUNT,
            f"{what} tells {classes} classes apart, the dataset has {dataset.class_count}. Use the dataset "
            "that it was trained for, and name its classes in the order of its outputs",
            {"model_classes": classes, "dataset_classes": dataset.class_count},
        )
    require_repeatable_classifier(classifier, dataset)
    return classifier


def _open_vae(entry: VaeInput, dataset: Dataset, runtime: Runtime) -> tuple[Encoder, Decoder]:
    image_shape = dataset.image_shape
    encoder_bytes, decoder_bytes, tensors = read_vae(entry)
    encoder = Encoder(encoder_bytes, entry.preprocessing, runtime, tensors)
    decoder = Decoder(decoder_bytes, entry.preprocessing, image_shape, runtime, tensors.image)
    _require_shape(encoder, image_shape, "the VAE's encoder", Reason.VAE_SHAPE_MISMATCH)
    require_same_latent_size(encoder.mu.shape[1], decoder.signature.input.shape[1])
    require_repeatable_vae(encoder, decoder, dataset)
    return encoder, decoder


def read_vae(entry: VaeInput) -> tuple[bytes, bytes, VaeTensors]:
    """Read encoder and decoder, cut out of one file if they came as one, and the names of their tensors."""
    encoder = entry.encoder.read_bytes()
    if entry.decoder is not None:
        return encoder, entry.decoder.read_bytes(), entry.tensors
    halves = cut(encoder, entry.tensors)
    return halves.encoder, halves.decoder, halves.tensors


def require_same_latent_size(encoded: int, decoded: int) -> None:
    """Raise VAE_LATENT_MISMATCH if encoder and decoder declare different D; -1 declares none."""
    if encoded != decoded and encoded > 0 and decoded > 0:
        raise InvalidModel(
            Reason.VAE_LATENT_MISMATCH,
            f"the VAE's encoder gives codes of {encoded} numbers, its decoder takes {decoded}. Both must "
            "come from one VAE, and the encoder must give mu and logvar as separate outputs",
            {"encoder": encoded, "decoder": decoded},
        )


def _require_shape(model: Classifier | Encoder, image_shape: ImageShape, what: str, reason: Reason) -> None:
    declared, expected = model.signature.input.shape[1:], model_item_shape(model.preprocessing, image_shape)
    if not all(size in (-1, want) for size, want in zip(declared, expected, strict=True)):
        raise InvalidModel(
            reason,
            f"{what} takes items of shape {declared}, but the dataset's images (C, H, W) = {image_shape} "
            f"become {expected} in layout {model.preprocessing.layout}{_layout_hint(declared, image_shape)}",
        )


def _layout_hint(item_shape: tuple[int, ...], image_shape: ImageShape) -> str:
    """Return what to add to an error about shapes if the model's layout is the likely cause."""
    channels, height, width = image_shape
    if item_shape == (height, width, channels) != image_shape:
        return ". The model takes channels last: push it with --layout nhwc"
    return ""

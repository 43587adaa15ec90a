"""The inspection of a classifier, a VAE or a dataset, in a process where it is safe to open it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from defuse_engine.dataset_checks.class_items import write_class_sheet
from defuse_engine.dataset_checks.duplicates import duplicate_sheet, find_duplicates, warn_of_duplicates
from defuse_engine.dataset_checks.plausible_values import warn_of_implausible_values
from defuse_engine.dataset_checks.same_images import image_digests, warn_of_contradictions
from defuse_engine.errors import InvalidModel, InvalidSignature, Reason
from defuse_engine.inputs import repeatable
from defuse_engine.inputs.dataset import Split
from defuse_engine.inputs.loaded import open_classifier, open_dataset, read_vae, require_same_latent_size
from defuse_engine.intervals import wilson
from defuse_engine.job_folder.job_file import ClassifierInput, DatasetInput, VaeInput
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.device import Runtime
from defuse_engine.models.onnx_graph.onnx_file import TensorSpec
from defuse_engine.models.onnx_graph.vae_tensors import find_image
from defuse_engine.models.onnx_model import Classifier, Encoder
from defuse_engine.models.preprocessing import image_shape_of
from defuse_engine.models.session import Session
from defuse_engine.models.torch_form.differentiable import undifferentiable_operations
from defuse_engine.preflight.likely_cause import warn_of_doubtful_preprocessing
from defuse_engine.preflight.skill import require_skill
from defuse_engine.random_streams import numpy_generator

_SPREAD_IMAGES = 64
_CHECKED_ITEMS = 1000


def inspect_classifier(entry: ClassifierInput, runtime: Runtime) -> dict[str, Any]:
    """Open and run a classifier; raises `InvalidModel` if it cannot be audited."""
    model_bytes = entry.file.read_bytes()
    classifier = Classifier(model_bytes, entry.preprocessing, entry.output_kind, runtime, output=entry.output)
    signature = classifier.signature
    class_count = classifier.output.shape[1]
    if min(signature.input.shape[1:]) > 0:
        class_count = _trial(classifier.session, classifier.output)[0]
    if class_count < 2:
        raise InvalidModel(
            Reason.MODEL_CLASS_COUNT,
            f"the classifier must tell at least two classes apart; its output "
            f"{classifier.output.name!r} has {class_count} columns "
            "(-1: not declared). Export it with a fixed number of classes",
        )
    image_shape = image_shape_of(entry.preprocessing, signature.input.shape[1:])
    if min(signature.input.shape[1:]) > 0:
        values = repeatable.drawn_inputs(classifier.session, entry.preprocessing, image_shape)
        repeatable.require_repeatable(classifier.session, [classifier.output], values)
    operations = undifferentiable_operations(model_bytes, classifier.output.name)
    return {
        "input": signature.input.to_json(),
        "output": classifier.output.to_json(),
        "class_count": class_count,
        "image_shape": image_shape,
        "opset": signature.opset,
        "batch_size": signature.batch_size,
        "differentiable": not operations,
        "undifferentiable_ops": operations,
        "warnings": repeatable.idle_operations(model_bytes, (classifier.output.name,), "the classifier"),
    }


def measure_on_dataset(
    entry: ClassifierInput, dataset_entry: DatasetInput, runtime: Runtime, reporter: Reporter
) -> dict[str, Any]:
    """Measure a classifier's accuracy on a sample of the validation split, with a warning if it is doubtful.

    Raises what `open_classifier` does, and PREFLIGHT_CLASSIFIER_ACCURACY if it is near chance.
    """
    dataset = open_dataset(dataset_entry)
    classifier = open_classifier(entry, dataset, runtime)
    split = dataset.validation
    rows = np.sort(numpy_generator(0, "inspection").permutation(len(split))[:_CHECKED_ITEMS])
    images, labels = split.images(rows), split.labels[rows]
    outputs = require_skill(classifier, images, labels)
    warn_of_doubtful_preprocessing(classifier, images, labels, outputs, reporter)
    right = int((outputs.argmax(axis=1) == labels).sum())
    return {"dataset_accuracy": asdict(wilson(right, len(labels)))}


def inspect_vae(entry: VaeInput, runtime: Runtime) -> dict[str, Any]:
    """Open a VAE, and run its decoder on its encoder's codes; raises `InvalidModel` if they do not fit."""
    encoder_bytes, decoder_bytes, tensors = read_vae(entry)
    encoder = Encoder(encoder_bytes, entry.preprocessing, runtime, tensors)
    decoder = Session(decoder_bytes, runtime, "the VAE's decoder")
    source = encoder.signature.input
    target = find_image(decoder.signature.outputs, tensors.image, "the VAE's decoder")
    if len(decoder.signature.input.shape) != 2:
        raise InvalidSignature(
            f"the VAE's decoder must take codes (batch, D), it takes {decoder.signature.input.shape}"
        )
    if tensors.code not in (None, decoder.signature.input.name):
        raise InvalidSignature(
            f"the VAE's decoder takes {decoder.signature.input.name!r}, not {tensors.code!r}"
        )
    latent_size = encoder.mu.shape[1]
    require_same_latent_size(latent_size, decoder.signature.input.shape[1])
    image_items = source.shape[1:]
    if min(image_items) > 0:
        latent_size = _trial(encoder.session, encoder.mu)[0]
        require_same_latent_size(latent_size, decoder.signature.input.shape[1])
        decoded = _trial(decoder, target, (latent_size,))
        if decoded != image_items:
            raise InvalidModel(
                Reason.VAE_SHAPE_MISMATCH,
                f"the VAE's encoder takes items of shape {image_items}, its decoder gives {decoded}; "
                "they must be the same",
            )
    image_shape = image_shape_of(entry.preprocessing, image_items)
    if min(image_items) > 0:
        values = repeatable.drawn_inputs(encoder.session, entry.preprocessing, image_shape)
        repeatable.require_repeatable(encoder.session, repeatable.encoder_outputs(encoder), values)
        codes = repeatable.drawn_codes(decoder, latent_size)
        repeatable.require_repeatable(decoder, [target], codes)
    return {
        "encoder_input": source.to_json(),
        "encoder_outputs": [output.to_json() for output in encoder.signature.outputs],
        "decoder_input": decoder.signature.input.to_json(),
        "decoder_output": target.to_json(),
        "latent_size": latent_size,
        "image_shape": image_shape,
        "tensors": {
            "mu": encoder.mu.name,
            "spread": encoder.spread.name if encoder.spread else "",
            "spread_kind": _spread_kind(encoder, image_shape),
            "code": decoder.signature.input.name,
            "image": target.name,
        },
        "warnings": [
            *repeatable.idle_operations(
                encoder_bytes,
                tuple(output.name for output in repeatable.encoder_outputs(encoder)),
                "the VAE's encoder",
            ),
            *repeatable.idle_operations(decoder_bytes, (target.name,), "the VAE's decoder"),
        ],
    }


def inspect_dataset(
    entry: DatasetInput, folder: Path, random_seed: int, reporter: Reporter
) -> dict[str, Any]:
    """Read a dataset, count and show its items, and look for what is wrong with it; raises `InvalidDataset`.

    The sheets are written below the job's `folder`.
    """
    dataset = open_dataset(entry)
    low = min(_value(split, np.min) for split in dataset.splits)
    high = max(_value(split, np.max) for split in dataset.splits)
    warn_of_implausible_values(dataset, entry.layout, low, high, reporter)
    digests = image_digests(dataset)
    warn_of_contradictions(dataset, digests, reporter)
    duplicates = find_duplicates(dataset, digests, random_seed)
    warn_of_duplicates(duplicates, reporter)
    pairs = [pair for one in duplicates for pair in one.pairs]
    return {
        "image_shape": list(dataset.image_shape),
        "class_count": dataset.class_count,
        "splits": {
            name: {
                "size": len(split),
                "class_counts": np.bincount(split.labels, minlength=dataset.class_count).tolist(),
            }
            for name, split in dataset.named_splits.items()
        },
        "value_min": low,
        "value_max": high,
        "dtype": str(dataset.train.pixels.dtype),
        "class_sheet": write_class_sheet(dataset, low, high, random_seed, folder),
        "duplicates": [one.to_json() for one in duplicates],
        "duplicate_pairs": [pair.to_json() for pair in pairs],
        "duplicate_sheet": duplicate_sheet(dataset, pairs, low, high, folder),
    }


def _spread_kind(encoder: Encoder, image_shape: tuple[int, int, int] | None) -> str:
    """Tell logvar from sigma, by values on random images if no name does; `auto` if the shape is unknown."""
    if encoder.spread_kind == "auto" and image_shape is not None:
        images = np.random.default_rng(0).random((_SPREAD_IMAGES, *image_shape), np.float32)
        encoder.posterior(images)
    return encoder.spread_kind


def _value(split: Split, extreme: Any) -> float:
    """Return the least or largest value of the engine's images: uint8 is divided by 255."""
    value = float(extreme(split.pixels))
    return value / 255.0 if split.pixels.dtype == np.uint8 else value


def _trial(session: Session, output: TensorSpec, item: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """Return the shape of one item of an output, after a run on zeros."""
    shape = item or session.signature.input.shape[1:]
    batch = max(1, session.signature.batch_size)
    zeros = torch.zeros((batch, *shape), device=session.runtime.device)
    return tuple(session.run(zeros, output).shape[1:])

"""What a training tells in the end: figures of the exported files, warnings, and contact sheets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from defuse_engine.configs import VaeTrainingConfig
from defuse_engine.inputs.dataset import Dataset
from defuse_engine.inputs.preflight import LOW_READABILITY
from defuse_engine.job_folder.contact_sheet import contact_sheet
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Decoder, Encoder
from defuse_engine.random_streams import torch_generator
from defuse_engine.types import Images, Preprocessing
from defuse_engine.vae.choose_setting import Measured, Right, Trained
from defuse_engine.vae.networks import Vae, Values
from defuse_engine.vae.readers import Reader

_SHEET_COLUMNS = 10
_SHEET_PAIRS = 30
_PRIOR_SAMPLES = 64
_FEW_ITEMS = 500
_LEAST_CLASS_ITEMS = 10
_LOW_WITNESS = 0.75
_UNREADABLE_CLASS = 0.5
_UNUSED_DIVERGENCE = 1.0
"""Nats: a code that tells less than this tells hardly two kinds of images apart."""


@dataclass(frozen=True)
class Final:
    """What the exported files do to the validation split."""

    reader: Reader
    reconstructions: Images
    right: Right
    readability: float


def measure_files(folder: Path, encoder: str, decoder: str, reader: Reader) -> Final:
    """Send the reader's images through the exported files, by onnxruntime."""
    runtime = reader.classifier.session.runtime
    image_shape = (reader.images.shape[1], reader.images.shape[2], reader.images.shape[3])
    encode = Encoder((folder / encoder).read_bytes(), Preprocessing(), runtime)
    decode = Decoder((folder / decoder).read_bytes(), Preprocessing(), image_shape, runtime)
    reconstructions = decode(encode(reader.images))
    right = reader.right(reconstructions)
    return Final(reader, reconstructions, right, reader.readability(right))


def point(measured: Measured, chosen: bool) -> dict[str, Any]:
    """Return one entry of `points`."""
    return {
        "latent_size": measured.setting.latent_size,
        "feature_weight": measured.setting.feature_weight,
        "kl_weight": measured.setting.kl_weight,
        "readability": measured.readability,
        "reconstruction_mse": measured.reconstruction_mse,
        "kl": measured.divergence,
        "steps": measured.steps,
        "chosen": chosen,
    }


def warn(
    final: Final, trained: Trained, dataset: Dataset, config: VaeTrainingConfig, reporter: Reporter
) -> None:
    """Say what the owner of the VAE has to know."""
    chosen = next(one for one in trained.points if one.setting == trained.chosen)
    if len(dataset.train) < _FEW_ITEMS:
        reporter.warning(
            "FEW_TRAIN_ITEMS",
            f"the train split has {len(dataset.train)} items: a VAE of so few knows little but these; "
            "collect some hundreds more",
        )
    if chosen.divergence < _UNUSED_DIVERGENCE:
        reporter.warning(
            "LATENT_SPACE_UNUSED",
            f"a code tells {chosen.divergence:.2f} nats about its image: all images decode to nearly the "
            "same; train longer, and check that the images differ",
        )
    unreadable = _unreadable_classes(final, dataset)
    if unreadable:
        reporter.warning(
            "UNREADABLE_CLASSES",
            f"fewer than half of the images of {', '.join(unreadable)} that the classifier reads are read "
            "once reconstructed: an audit says little about these classes; more items of them would help",
        )
    witnessed, before = (
        float(final.reader.right_to_witness(images).mean())
        for images in (final.reconstructions, final.reader.images)
    )
    if witnessed < _LOW_WITNESS * before:
        reporter.warning(
            "UNFAITHFUL_RECONSTRUCTIONS",
            f"a second classifier, which took no part in the loss, is right on {before:.1%} of the images "
            f"but on {witnessed:.1%} of their reconstructions: they may show to the classifier what they do "
            "not show to people; look at the sheet of reconstructions, and train longer",
        )
    if final.readability < LOW_READABILITY:
        tried = sorted({one.setting.latent_size for one in trained.points})
        reporter.warning(
            "LOW_READABILITY",
            f"readability is {final.readability:.2f}, below {LOW_READABILITY}: train longer (budget_s was "
            f"{config.budget_s:g}), or with larger latent_sizes (tried: {', '.join(map(str, tried))})",
        )


def reconstruction_sheet(folder: Path, final: Final, values: Values) -> dict[str, str | int]:
    """Write rows of originals, each with the row of their reconstructions beneath it."""
    count = min(_SHEET_PAIRS, len(final.reconstructions))
    count -= count % _SHEET_COLUMNS if count > _SHEET_COLUMNS else 0
    rows: list[Images] = []
    for start in range(0, count, _SHEET_COLUMNS):
        chosen = slice(start, min(start + _SHEET_COLUMNS, count))
        rows += [final.reader.images[chosen], final.reconstructions[chosen]]
    sheet = contact_sheet(np.concatenate(rows), values.low, values.high, min(_SHEET_COLUMNS, count))
    return sheet.write(folder, "output/sheets/reconstructions.png")


def prior_sheet(folder: Path, vae: Vae, values: Values, seed: int) -> dict[str, str | int]:
    """Write decoded codes that are drawn from the prior."""
    codes = torch.randn(_PRIOR_SAMPLES, vae.latent_size, generator=torch_generator(seed, "vae-prior"))
    with torch.no_grad():
        images = vae.decoder(codes.to(next(vae.parameters()).device)).cpu().numpy()
    return contact_sheet(images, values.low, values.high).write(folder, "output/sheets/prior.png")


def _unreadable_classes(final: Final, dataset: Dataset) -> list[str]:
    names: list[str] = []
    labels, before = final.reader.labels, final.reader.right_on_originals
    for label in range(dataset.class_count):
        items = labels == label
        read = int(before[items].sum())
        if read >= _LEAST_CLASS_ITEMS and int(final.right[items].sum()) < _UNREADABLE_CLASS * read:
            names.append(dataset.class_names[label] if dataset.class_names else str(label))
    return names

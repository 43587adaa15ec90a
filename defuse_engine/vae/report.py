"""The report of a training: figures of the exported files, warnings, and contact sheets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from defuse_engine.configs import VaeTrainingConfig
from defuse_engine.inputs.dataset import Dataset
from defuse_engine.job_folder.contact_sheet import contact_sheet
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Decoder, Encoder
from defuse_engine.preflight.readability import (
    LOW_FLATTERY,
    LOW_READABILITY,
    MOST_FLATTERY,
    Readability,
    SampleReaders,
    told_flattery,
)
from defuse_engine.random_streams import torch_generator
from defuse_engine.types import Images, Interval, Preprocessing
from defuse_engine.vae.choose_setting import Measured, Trained
from defuse_engine.vae.loss import FEATURE_WEIGHT
from defuse_engine.vae.networks import Vae, Values

_SHEET_COLUMNS = 10
_SHEET_PAIRS = 30
_PRIOR_SAMPLES = 64
_FEW_ITEMS = 500
_LEAST_CLASS_ITEMS = 10
_UNREADABLE_CLASS = 0.5
_UNUSED_DIVERGENCE = 1.0
"""In nats: a code with less information hardly tells two kinds of images apart."""


@dataclass(frozen=True)
class Final:
    """The exported files, measured on the validation split."""

    readers: SampleReaders
    reconstructions: Images
    readability: Readability


def measure_files(folder: Path, encoder: str, decoder: str, readers: SampleReaders) -> Final:
    """Send the readers' images through the exported files, by onnxruntime."""
    runtime = readers.classifier.session.runtime
    image_shape = (readers.images.shape[1], readers.images.shape[2], readers.images.shape[3])
    encode = Encoder((folder / encoder).read_bytes(), Preprocessing(), runtime)
    decode = Decoder((folder / decoder).read_bytes(), Preprocessing(), image_shape, runtime)
    reconstructions = decode(encode(readers.images))
    return Final(readers, reconstructions, readers.read(reconstructions))


def point(measured: Measured, chosen: bool) -> dict[str, Any]:
    """Return one entry of `points`."""
    return {
        **asdict(measured.setting),
        "feature_weight": FEATURE_WEIGHT,
        "readability": measured.readability,
        "reconstruction_mse": measured.reconstruction_mse,
        "kl": measured.divergence,
        "steps": measured.steps,
        "chosen": chosen,
    }


def readability_figures(final: Final) -> dict[str, Any]:
    """Return `readability` and what it is made of, as the preflight has them."""
    figures = final.readability.figures
    return {key: asdict(value) if isinstance(value, Interval) else value for key, value in figures.items()}


def warn(
    final: Final, trained: Trained, dataset: Dataset, config: VaeTrainingConfig, reporter: Reporter
) -> None:
    """Warn of everything that the owner of the VAE has to know."""
    chosen = next(one for one in trained.points if one.setting == trained.chosen)
    if len(dataset.train) < _FEW_ITEMS:
        reporter.warning(
            "FEW_TRAIN_ITEMS",
            f"the train split has {len(dataset.train)} items. A VAE of so few knows little else: collect "
            "some hundreds more",
        )
    if chosen.divergence < _UNUSED_DIVERGENCE:
        reporter.warning(
            "LATENT_SPACE_UNUSED",
            f"a code holds {chosen.divergence:.2f} nats about its image, so all images decode to nearly the "
            "same. Train longer, and check that the images differ",
        )
    unreadable = _unreadable_classes(final, dataset)
    if unreadable:
        reporter.warning(
            "UNREADABLE_CLASSES",
            f"of {', '.join(unreadable)}, the classifier reads fewer than half of the images once they are "
            "reconstructed. An audit says little about these classes: add items of them",
        )
    readability, tried = final.readability, sorted({one.setting.latent_size for one in trained.points})
    advice = (
        f"Train longer (budget_s was {config.budget_s:g}), or with larger latent_sizes (tried: "
        f"{', '.join(map(str, tried))})"
    )
    flattery = readability.flattery
    if flattery is not None and flattery.value > LOW_FLATTERY:
        reporter.warning(
            "FLATTERY",
            f"{told_flattery(flattery)}. An audit warns above {LOW_FLATTERY} and refuses above "
            f"{MOST_FLATTERY}. Look at the sheet of reconstructions. {advice}",
        )
    if readability.is_low:
        reporter.warning("LOW_READABILITY", f"{readability.told_low}, below {LOW_READABILITY}. {advice}")


def reconstruction_sheet(folder: Path, final: Final, values: Values) -> dict[str, str | int]:
    """Write rows of originals, each above the row of its reconstructions."""
    count = min(_SHEET_PAIRS, len(final.reconstructions))
    count -= count % _SHEET_COLUMNS if count > _SHEET_COLUMNS else 0
    # Evenly spread: datasets often lie sorted by class, or frame by frame.
    spread = np.linspace(0, len(final.reconstructions) - 1, count).round().astype(np.int64)
    rows: list[Images] = []
    for start in range(0, count, _SHEET_COLUMNS):
        chosen = spread[start : start + _SHEET_COLUMNS]
        rows += [final.readers.images[chosen], final.reconstructions[chosen]]
    sheet = contact_sheet(np.concatenate(rows), values.low, values.high, min(_SHEET_COLUMNS, count))
    return sheet.write(folder, "output/sheets/reconstructions.png")


def prior_sheet(folder: Path, vae: Vae, values: Values, random_seed: int) -> dict[str, str | int]:
    """Write decoded codes that are drawn from the prior."""
    codes = torch.randn(_PRIOR_SAMPLES, vae.latent_size, generator=torch_generator(random_seed, "vae-prior"))
    with torch.no_grad():
        images = vae.decoder(codes.to(next(vae.parameters()).device)).cpu().numpy()
    return contact_sheet(images, values.low, values.high).write(folder, "output/sheets/prior.png")


def _unreadable_classes(final: Final, dataset: Dataset) -> list[str]:
    names: list[str] = []
    labels, before = final.readers.labels, final.readers.right_on_originals
    right = final.readability.read_as == labels
    for label in range(dataset.class_count):
        items = labels == label
        read = int(before[items].sum())
        if read >= _LEAST_CLASS_ITEMS and int(right[items].sum()) < _UNREADABLE_CLASS * read:
            names.append(dataset.class_names[label] if dataset.class_names else str(label))
    return names

"""Two well-known searches. The engine's own mixture groups what they find into regions.

`prior` draws codes from the VAE's prior N(0, I). A candidate's label is the most frequent label of its 15
nearest train codes. `pgd` is projected gradient ascent in pixel space (A. Madry et al., 2018) from train
items, with an L-infinity radius of 0.1 of the value range and 10 steps of a quarter of it. Its finds are
encoded for grouping.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from bench._data import as_input
from bench._materials import Materials
from bench._scores import Model
from defuse_engine.configs import AuditConfig
from defuse_engine.models.torch_form.differentiable import input_differentiable
from defuse_engine.regions.grouping import group_by_pair
from defuse_engine.regions.rated_regions import as_arrays
from defuse_engine.search.neighbours import Neighbours
from defuse_engine.types import Misclassifications, Regions

NAMES = ("prior", "pgd")
_STEPS = 10
_RADIUS = 0.1
_BATCH = 256
_NEIGHBOURS = 15


@dataclass(frozen=True)
class Found:
    """What a search found. `images` are its misclassified candidates, as the classifier saw them."""

    images: np.ndarray
    predictions: np.ndarray
    regions: Regions
    candidates: int
    work_s: float


def search(name: str, materials: Materials, candidates: int, seed: int, threads: int) -> Found:
    """Run one of `NAMES` with this number of candidates."""
    torch.set_num_threads(threads)
    data, folder = materials.data, materials.folder
    encoder = Model(folder / "vae_encoder.onnx", threads)
    images = as_input(data.train_images)
    codes = encoder(images)
    started_s = time.monotonic()
    rng = np.random.default_rng(seed)
    if name == "prior":
        found, seen = _from_prior(materials, codes, candidates, rng, threads)
    else:
        found, seen = _pgd(materials, images, encoder, candidates, rng)
    config = AuditConfig()
    regions = group_by_pair(found, config, seed, lambda done, total: None).regions
    return Found(
        seen,
        found.predicted_class,
        as_arrays(regions, config.tau, codes.shape[1]),
        candidates,
        time.monotonic() - started_s,
    )


def _from_prior(
    materials: Materials, train: np.ndarray, candidates: int, rng: np.random.Generator, threads: int
) -> tuple[Misclassifications, np.ndarray]:
    decoder = Model(materials.folder / "vae_decoder.onnx", threads)
    classifier = Model(materials.folder / "classifier.onnx", threads)
    neighbours = Neighbours(train, materials.data.train_labels, _NEIGHBOURS, "cpu")
    codes, labels, predictions, seen = [], [], [], []
    for start in range(0, candidates, 8192):
        some = rng.standard_normal((min(8192, candidates - start), train.shape[1])).astype(np.float32)
        images = decoder(some)
        predicted = classifier.predict(images)
        near = neighbours.labels_near(some)
        majority = np.array([np.bincount(row).argmax() for row in near])
        wrong = predicted != majority
        codes.append(some[wrong])
        labels.append(majority[wrong])
        predictions.append(predicted[wrong])
        seen.append(images[wrong])
    parts = [np.concatenate(part) for part in (codes, labels, predictions)]
    return _misclassifications(*parts), np.concatenate(seen)


def _pgd(
    materials: Materials, images: np.ndarray, encoder: Model, candidates: int, rng: np.random.Generator
) -> tuple[Misclassifications, np.ndarray]:
    model = input_differentiable((materials.folder / "classifier.onnx").read_bytes())
    rows = rng.permutation(len(images))[: max(1, candidates // _STEPS)]
    labels_of = materials.data.train_labels
    found, labels, predictions = [], [], []
    for start in range(0, len(rows), _BATCH):
        some = rows[start : start + _BATCH]
        clean, label = torch.from_numpy(images[some]), torch.from_numpy(labels_of[some])
        moved = clean + _RADIUS * (2 * torch.from_numpy(rng.random(clean.shape, np.float32)) - 1)
        for _ in range(_STEPS):
            moved = moved.clamp(0, 1).requires_grad_()
            loss = functional.cross_entropy(model(moved), label, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, moved)
            moved = moved.detach() + _RADIUS / 4 * gradient.sign()
            moved = torch.minimum(torch.maximum(moved, clean - _RADIUS), clean + _RADIUS)
        moved = moved.clamp(0, 1)
        with torch.no_grad():
            predicted = model(moved).argmax(dim=1)
        wrong = (predicted != label).numpy()
        found.append(moved.numpy()[wrong])
        labels.append(label.numpy()[wrong])
        predictions.append(predicted.numpy()[wrong])
    seen = np.concatenate(found)
    return _misclassifications(encoder(seen), np.concatenate(labels), np.concatenate(predictions)), seen


def _misclassifications(codes: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> Misclassifications:
    count = len(codes)
    return Misclassifications(
        codes=codes,
        seed_index=np.zeros(count, np.int64),
        seed_split=np.zeros(count, np.uint8),
        seed_label=labels.astype(np.int32),
        predicted_class=predictions.astype(np.int32),
        confidence=np.ones(count, np.float32),
        delta_norm=np.zeros(count, np.float32),
        agreement=np.ones(count, np.float32),
        bug_probability=np.zeros(count, np.float32),
        method=np.zeros(count, np.uint8),
    )

"""The handwritten digits that come with scikit-learn: 1,797 images of 8 x 8 pixels with known labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
IMAGE_SIDE = 8
SPLIT_SEED = 20_210_212
"""Fixes which items are train, validation and test, independently of the training's random seed."""


@dataclass(frozen=True)
class Split:
    """Images (n, 1, 8, 8), float32 in 0..1, and labels (n,), int64 in 0..9."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Digits:
    """The three splits: 60% train, 20% validation for choices, 20% test for reported figures alone."""

    train: Split
    validation: Split
    test: Split

    def save(self, path: Path) -> None:
        """Write a dataset file: the six arrays that Defuse reads."""
        np.savez_compressed(
            path,
            x_train=self.train.images.numpy(),
            y_train=self.train.labels.numpy(),
            x_validation=self.validation.images.numpy(),
            y_validation=self.validation.labels.numpy(),
            x_test=self.test.images.numpy(),
            y_test=self.test.labels.numpy(),
        )


def seeded(random_seed: int) -> torch.Generator:
    """Seed torch's global generator, which makes initial weights, and return a generator for all else."""
    torch.manual_seed(random_seed)
    return torch.Generator().manual_seed(random_seed)


def load() -> Digits:
    """Load the three splits, each with the same proportions of classes."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32).reshape(-1, 1, IMAGE_SIDE, IMAGE_SIDE)
    labels = labels.astype(np.int64)
    rest, test = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=SPLIT_SEED
    )
    train, validation = train_test_split(rest, test_size=0.25, stratify=labels[rest], random_state=SPLIT_SEED)

    def split(rows: ArrayLike) -> Split:
        rows = np.asarray(rows)
        return Split(torch.from_numpy(images[rows]), torch.from_numpy(labels[rows]))

    return Digits(split(train), split(validation), split(test))

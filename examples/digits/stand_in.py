"""A stand-in for the people who label bugs: the demo runs without them.

It is not part of the method. It is three networks, larger than the audited classifier and trained separately,
with augmentation and on more items. Like an annotator, it sees only the samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F  # noqa: N812  (PyTorch's own name for it)
from torch import Tensor, nn

from examples.digits.data import Digits, Split, seeded

EPOCHS = 20
BATCH_SIZE = 64
MEMBERS = 3
AGREEMENT = 0.8
"""Share of a bug's samples that must show one class. Otherwise the answer is mixed."""


def new_network() -> nn.Sequential:
    """Make a network of some 160,000 weights: image (n, 1, 8, 8) to ten logits."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64 * 16, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


class Committee(nn.Module):
    """The mean of its members' probabilities: (n, 1, 8, 8) to (n, 10). Each row sums to 1."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities."""
        return torch.stack([member(images).softmax(1) for member in self.members]).mean(0)


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn (by up to 12 degrees), scale and slant (10%) and shift (0.8 pixels) each image, and add noise."""
    n = len(images)

    def spread(width: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * width

    angle, scale = spread(0.21), 1 + spread(0.1)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    first = torch.stack([cos, spread(0.15) - sin, spread(0.2)], 1)
    second = torch.stack([sin, cos, spread(0.2)], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False)
    return (moved + 0.08 * torch.randn(moved.shape, generator=generator)).clamp(0, 1)


def train_network(split: Split, generator: torch.Generator) -> nn.Module:
    """Fit one network by cross-entropy on augmented images."""
    network = new_network()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    steps = EPOCHS * -(-len(split.labels) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(split.labels), generator=generator).split(BATCH_SIZE):
            optimizer.zero_grad()
            F.cross_entropy(network(augment(split.images[rows], generator)), split.labels[rows]).backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def train(digits: Digits, random_seed: int) -> tuple[nn.Module, Committee]:
    """Train one network on train alone, to measure on validation, and the committee on both splits."""
    generator = seeded(random_seed)
    measured = train_network(digits.train, generator)
    both = Split(
        torch.cat([digits.train.images, digits.validation.images]),
        torch.cat([digits.train.labels, digits.validation.labels]),
    )
    return measured, Committee([train_network(both, generator) for _ in range(MEMBERS)]).eval()


@dataclass(frozen=True)
class Answer:
    """What the stand-in says about one bug: a class, or None if the samples show different things."""

    label: int | None
    agreement: float
    """Share of the samples that show the most frequent class."""
    samples: int

    @property
    def note(self) -> str:
        """One sentence for the label's record."""
        return f"stand-in: {self.agreement:.0%} of {self.samples} samples show the same class"


class StandIn:
    """Reads samples as an annotator does."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def read(self, images: np.ndarray) -> np.ndarray:
        """Return the classes (n,) of images (n, 1, 8, 8), float32 in 0..1."""
        (probabilities,) = self._session.run(None, {"image": images})
        return np.asarray(probabilities).argmax(1)

    def answer(self, samples: np.ndarray) -> Answer:
        """Label a bug from its samples (n, 1, 8, 8)."""
        counts = np.bincount(self.read(samples), minlength=10)
        agreement = float(counts.max() / counts.sum())
        label = int(counts.argmax()) if agreement >= AGREEMENT else None
        return Answer(label, agreement, len(samples))

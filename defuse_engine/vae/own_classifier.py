"""A small classifier of our own: a witness, and a stand-in where the one under audit has no gradient."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from defuse_engine.inputs.dataset import Split
from defuse_engine.models.preprocessing import ImageShape
from defuse_engine.types import Images, Labels
from defuse_engine.vae.networks import Values

_WIDTH = 32
_SIDE = 32
_HIDDEN = 64
_STEPS = 400
_BATCH_SIZE = 64
_LEARNING_RATE = 2e-3
_EVALUATION_BATCH = 256


class OwnClassifier(nn.Module):
    """Images (n, C, H, W) to two activations and log-probabilities (n, K)."""

    def __init__(self, image_shape: ImageShape, values: Values, class_count: int):
        super().__init__()
        self.values = values
        channels = image_shape[0]
        side = max(image_shape[1:])
        # Large images are made smaller first: it has to be quick, and to be right more often than not.
        pooled = max(1, side // _SIDE)
        self.first = nn.Sequential(
            nn.AvgPool2d(pooled, ceil_mode=True),
            nn.Conv2d(channels, _WIDTH, 3, 1 if side < _SIDE // 2 else 2, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, 2 * _WIDTH, 3, 2, padding=1),
            nn.ReLU(),
        )
        with torch.no_grad():
            size = self.first(torch.zeros(1, *image_shape)).numel()
        self.second = nn.Sequential(nn.Flatten(), nn.Linear(size, _HIDDEN), nn.ReLU())
        self.last = nn.Linear(_HIDDEN, class_count)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Activations from shallow to deep, the last of them log-probabilities."""
        first = self.first((images - self.values.mean) / self.values.std)
        second = self.second(first)
        return [first, second, functional.log_softmax(self.last(second), dim=1)]

    def predict(self, images: Images) -> Labels:
        """Predicted classes (n,) of images (n, C, H, W)."""
        device = self.last.weight.device
        with torch.no_grad():
            parts = torch.from_numpy(images).split(_EVALUATION_BATCH)
            return torch.cat([self(part.to(device))[-1].argmax(1).cpu() for part in parts]).numpy()


def train_own_classifier(
    split: Split,
    labels: Labels,
    class_count: int,
    image_shape: ImageShape,
    values: Values,
    generator: np.random.Generator,
    device: str,
) -> OwnClassifier:
    """Fit `labels` (n,) on the items of `split`: what people say, or a classifier; frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(2**31)))
        model = OwnClassifier(image_shape, values, class_count).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, _STEPS)
    for _ in range(_STEPS):
        rows = generator.integers(len(split), size=min(_BATCH_SIZE, len(split)))
        scores = model(torch.from_numpy(split.images(rows)).to(device))[-1]
        optimizer.zero_grad(set_to_none=True)
        functional.nll_loss(scores, torch.from_numpy(labels[rows]).to(device)).backward()
        optimizer.step()
        schedule.step()
    return model.requires_grad_(False).eval()

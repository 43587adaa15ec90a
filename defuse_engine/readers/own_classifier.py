"""A small classifier of our own: a reader beside the one under audit, or its stand-in for gradients."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval

from defuse_engine.inputs.dataset import Split
from defuse_engine.models.device import computes_in_bfloat16
from defuse_engine.models.preprocessing import ImageShape
from defuse_engine.models.torch_form.silu import Silu
from defuse_engine.readers.augmentation import augmented, light_of
from defuse_engine.readers.contrast import standardised_once, standardised_twice
from defuse_engine.readers.low_pass import LowPass
from defuse_engine.types import Images, Labels

Design = Literal["strided", "pooled", "low-pass"]
"""`strided` takes steps of two pixels and has a hidden layer; `pooled` sees every pixel, keeps the largest of
four, and has none. Both are quick, and they make different mistakes. `low-pass` is `pooled` behind a filter
that takes away the fine patterns that a network can see and people cannot."""
_STRIDED_WIDTHS = (32, 64, 128)
_POOLED_WIDTHS = (16, 32, 64, 128)
"""A fourth stage costs hardly more than three. Of signs in 43 classes this design misreads a third less than
three stages of up to 64 channels, in a fifth more training (validation: 0.86 right instead of 0.79)."""
_SIDE = 32
_HIDDEN = 128
_LEARNING_RATE = 3e-3
_EVALUATION_BATCH = 256
_MOMENTS_ITEMS = 1_000
_SEEDING = threading.Lock()
"""Torch draws first weights from one stream, which two trainings at once would share."""


@dataclass(frozen=True)
class Effort:
    """The length of a training."""

    steps: int
    batch_size: int


_BATCH_SIZE = 128
_EPOCHS = 20
_STEPS = (200, 1_500)
"""Least and most steps. Little data is seen often; of much data, only a part."""


def reader_effort(items: int) -> Effort:
    """Return the length of a training that is to be right about as often as its design can be."""
    return Effort(int(np.clip(_EPOCHS * items // _BATCH_SIZE, *_STEPS)), _BATCH_SIZE)


class OwnClassifier(nn.Module):
    """Images (n, C, H, W) to activations from shallow to deep, the last log-probabilities (n, K)."""

    def __init__(
        self,
        image_shape: ImageShape,
        mean: float,
        std: float,
        class_count: int,
        design: Design = "strided",
        *,
        by_own_contrast: bool,
    ):
        """`mean` and `std` are those of the images' values.

        `by_own_contrast` tells whether it also sees each image by its own mean and contrast. Where the
        data's light does not vary, an image of less contrast is a faint one, and must not be made plain.
        """
        super().__init__()
        self._mean, self._std, self._by_own_contrast = mean, std, by_own_contrast
        self._design: Design = design
        channels = 2 * image_shape[0] if by_own_contrast else image_shape[0]
        side = max(image_shape[1:])
        # Large images are made smaller first: it has to be quick.
        pooled = max(1, side // _SIDE)
        height, width = (-(-size // pooled) for size in image_shape[1:])
        self.prepared = nn.Sequential(
            nn.AvgPool2d(pooled, ceil_mode=True) if pooled > 1 else nn.Identity(),
            LowPass(height, width) if design == "low-pass" else nn.Identity(),
        )
        self.stages = nn.ModuleList((_strided if design == "strided" else _pooled)(channels, side))
        self.eval()
        with torch.no_grad():
            size = self._staged(torch.zeros(1, channels, *image_shape[1:]))[-1].numel()
        self.train()
        self.hidden = nn.Sequential(nn.Linear(size, _HIDDEN), Silu()) if design == "strided" else None
        self.last = nn.Linear(_HIDDEN if self.hidden else size, class_count)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return activations, each stage's and the hidden layer's, and log-probabilities."""
        standardised = standardised_twice if self._by_own_contrast else standardised_once
        activations = self._staged(standardised(images, self._mean, self._std))
        if self.hidden is not None:
            activations.append(self.hidden(activations[-1].flatten(1)))
        scores = self.last(activations[-1].flatten(1)).float()
        return [*activations, functional.log_softmax(scores, dim=1)]

    def _staged(self, standardised: Tensor) -> list[Tensor]:
        activations = [self.prepared(standardised)]
        for stage in self.stages:
            activations.append(stage(activations[-1]))
        return activations[1:]

    def fuse(self) -> None:
        """Take each batch normalisation into the convolution before it; the network must be in `eval`."""
        for stage in self.modules():
            if not isinstance(stage, nn.Sequential):
                continue
            first, second = stage[0], stage[1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                stage[0], stage[1] = fuse_conv_bn_eval(first, second), nn.Identity()

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all that `of_arrays` needs of a trained network."""
        told = {
            "design": self._design,
            "mean": self._mean,
            "std": self._std,
            "contrast": self._by_own_contrast,
        }
        weights = {f"weights/{name}": values.cpu().numpy() for name, values in self.state_dict().items()}
        return {name: np.array(value) for name, value in told.items()} | weights

    @classmethod
    def of_arrays(
        cls, arrays: dict[str, np.ndarray], image_shape: ImageShape, class_count: int
    ) -> OwnClassifier:
        """Return the network that gave these arrays.

        Raises KeyError, RuntimeError, ValueError if they do not fit.
        """
        designs: tuple[Design, ...] = get_args(Design)
        design = designs[designs.index(str(arrays["design"]))]  # pyright: ignore[reportArgumentType]
        mean, std, contrast = float(arrays["mean"]), float(arrays["std"]), bool(arrays["contrast"])
        model = cls(image_shape, mean, std, class_count, design, by_own_contrast=contrast)
        model = model.requires_grad_(False).eval()
        model.fuse()
        prefix = "weights/"
        model.load_state_dict(
            {
                name.removeprefix(prefix): torch.from_numpy(values)
                for name, values in arrays.items()
                if name.startswith(prefix)
            }
        )
        return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def predict(self, images: Images) -> Labels:
        """Return predicted classes (n,) of images (n, C, H, W)."""
        return self.probabilities(images).argmax(axis=1)

    def probabilities(self, images: Images) -> Float32[np.ndarray, "n k"]:
        """Return the probability of each class."""
        device = self.last.weight.device
        parts = torch.from_numpy(images).split(_EVALUATION_BATCH)
        with torch.no_grad(), _rough(device.type):
            return torch.cat([self(part.to(device))[-1].exp().cpu() for part in parts]).numpy()


def _strided(channels: int, side: int) -> list[nn.Module]:
    # Small images have fewer stages, because there is nothing left to stride over.
    count = len(_STRIDED_WIDTHS) if side >= _SIDE // 2 else len(_STRIDED_WIDTHS) - 1
    widths = _STRIDED_WIDTHS[:count]
    return [
        _stage(channels, widths[0], kernel=5, stride=1 if side < _SIDE // 2 else 2),
        *(_stage(*some, kernel=3, stride=2) for some in pairwise(widths)),
    ]


def _pooled(channels: int, side: int) -> list[nn.Module]:
    # Each stage halves the image, until one cell is left.
    widths = _POOLED_WIDTHS[: max(1, math.ceil(math.log2(side)))]
    return [
        _stage(*some, kernel=3, stride=1).append(nn.MaxPool2d(2, ceil_mode=True))
        for some in pairwise([channels, *widths])
    ]


def _stage(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        Silu(),
    )


def train_own_classifier(
    split: Split,
    labels: Labels,
    class_count: int,
    generator: np.random.Generator,
    device: str,
    effort: Effort,
    redrawn: tuple[Images, Labels] | None = None,
    on_step: Callable[[int], None] = lambda done: None,
    *,
    design: Design = "strided",
    augment: bool = False,
) -> OwnClassifier:
    """Fit `labels` (n,), which people or a classifier gave, on the items of `split`; return it frozen.

    `redrawn` are images as a VAE draws them, at least one, with their labels; they make half of each batch.
    `on_step` gets the number of steps done. With `augment` each image is moved and lit a little, at random.
    """
    some = split.images(np.sort(generator.permutation(len(split))[:_MOMENTS_ITEMS]))
    mean, std = float(some.mean(dtype=np.float64)), float(some.std(dtype=np.float64))
    light = light_of(some)
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(2**31)))
        shape: ImageShape = (some.shape[1], some.shape[2], some.shape[3])
        model = OwnClassifier(shape, mean, std or 1.0, class_count, design, by_own_contrast=light.varies).to(
            device
        )
    # Channels last: training takes three quarters of the time, and reading too.
    model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, effort.steps)
    own = effort.batch_size if redrawn is None else effort.batch_size // 2
    for step in range(effort.steps):
        rows = generator.integers(len(split), size=own)
        images, wanted = split.images(rows), labels[rows]
        if redrawn is not None:
            rows = generator.integers(len(redrawn[1]), size=own)
            images = np.concatenate([images, redrawn[0][rows]])
            wanted = np.concatenate([wanted, redrawn[1][rows]])
        batch = torch.from_numpy(images).to(device)
        if augment:
            batch = augmented(batch, light, generator)
        batch = batch.contiguous(memory_format=torch.channels_last)
        with _rough(device):
            scores = model(batch)[-1]
        optimizer.zero_grad(set_to_none=True)
        functional.nll_loss(scores, torch.from_numpy(wanted).to(device)).backward()
        optimizer.step()
        schedule.step()
        on_step(step + 1)
    model = model.requires_grad_(False).eval()
    model.fuse()
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _rough(device: str) -> torch.autocast:
    """Compute in bfloat16 if the processor can: half the time, and as good a classifier."""
    return torch.autocast("cpu", torch.bfloat16, enabled=computes_in_bfloat16(device))

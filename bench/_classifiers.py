"""The benchmarks' classifiers, trained here and kept in out/bench/cache."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench._data import Data

Kind = Literal["audited", "converged", "oracle"]
KINDS: dict[str, tuple[Kind, ...]] = {
    "both": ("converged", "audited"),
    "converged": ("converged",),
    "audited": ("audited",),
}
"""The kinds that the variable KIND names. The first is that of the table, a second stands beside it."""
CACHE = Path(__file__).parent.parent / "out" / "bench" / "cache"
_ROTATION_DEG = 5.0
_SHIFT_SHARE = 0.04
_ZOOM = 0.05


@dataclass(frozen=True)
class Recipe:
    """All that a training depends on besides the data and the random seed. It is part of the cache key."""

    network: str
    steps: int
    batch_size: int
    learning_rate: float
    augmented: bool
    with_validation: bool
    smoothing: float = 0.0
    """Label smoothing."""
    movement: float | None = None
    """Multiplies how far an augmented image is turned, shifted and zoomed. None is 1."""
    light: float | None = None
    """Brightness and contrast each change by a factor of 4^-light to 4^light. None leaves both alone."""
    shrunk: float | None = None
    """Share of augmented images that are shrunk into the upper left corner of a black one. None is 0."""
    balanced: bool | None = None
    """Draws a class by the square root of its size. None goes through the items in turn."""
    float32: bool | None = None
    """Trains in float32 with channels last, which is faster on CPUs without AMX. None is bfloat16."""


# 800 x 64 items are one pass over MNIST's train split, 48 over digits'.
_RECIPES: dict[Kind, Recipe] = {
    "audited": Recipe("two-convolutions-1", 800, 64, 1e-3, augmented=False, with_validation=False),
    "converged": Recipe("two-convolutions-1", 8000, 128, 3e-3, augmented=True, with_validation=False),
    "oracle": Recipe(
        "batch-normalised-2", 3000, 96, 3e-3, augmented=True, with_validation=True, smoothing=0.05
    ),
}
# Signs that are smaller than their tile lie in its upper left corner.
_SIGNS: Any = {
    "augmented": True,
    "movement": 1.5,
    "light": 0.4,
    "shrunk": 0.3,
    "balanced": True,
    "float32": True,
}
# Where the recipes above do not reach the end of a training.
_OF_DATASET: dict[tuple[str, Kind], Recipe] = {
    ("fashion", "converged"): Recipe(
        "four-convolutions-1", 6000, 128, 3e-3, augmented=True, with_validation=False, float32=True
    ),
    ("gtsrb", "converged"): Recipe(
        "four-convolutions-1", 7000, 64, 2e-3, with_validation=False, smoothing=0.05, **_SIGNS
    ),
    ("gtsrb", "oracle"): Recipe(
        "instance-normalised-1", 5000, 64, 2e-3, with_validation=True, smoothing=0.05, **_SIGNS
    ),
}


def kinds() -> tuple[Kind, ...]:
    """Return the kinds of classifier that KIND names. Raises ValueError if there is no such KIND."""
    name = os.environ.get("KIND") or "both"
    if name not in KINDS:
        raise ValueError(f"KIND must be one of {', '.join(KINDS)}, got {name!r}")
    return KINDS[name]


def train_classifier(data: Data, seed: int, kind: Kind) -> bytes:
    """Return an ONNX classifier, (n, C, H, W) in 0..1 -> K logits, opset 17.

    `converged` is trained to its end with augmentation, as people deploy a classifier. `audited` is a small
    network that is trained quickly, and not to its end. Both learn from the train split. `oracle` is a wider
    network of another design than theirs, and learns from the validation split, too. It only scores; nothing
    is chosen by it. None sees the test split. The same arguments give the same classifier on the same
    machine.
    """
    recipe = _OF_DATASET.get((data.name, kind), _RECIPES[kind])
    path = CACHE / f"{data.name}-{kind}-{seed}-{_digest(data, recipe, seed)}.onnx"
    if not path.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        with torch.random.fork_rng():
            trained = _trained(data, recipe, seed)
        temporary = path.with_suffix(".part")
        temporary.write_bytes(_export(trained, torch.zeros(2, *data.train_images.shape[1:])))
        temporary.replace(path)
    return path.read_bytes()


def _digest(data: Data, recipe: Recipe, seed: int) -> str:
    settings = {name: value for name, value in asdict(recipe).items() if value is not None}
    digest = hashlib.sha256(json.dumps([settings, seed]).encode())
    for values in (data.train_images, data.train_labels, data.validation_images, data.validation_labels):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _trained(data: Data, recipe: Recipe, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    channels, height, width = data.train_images.shape[1:]
    net = _NETWORKS[recipe.network](channels, height, width, len(data.class_names))
    images, labels = data.train_images, data.train_labels
    if recipe.with_validation:
        images = np.concatenate([images, data.validation_images])
        labels = np.concatenate([labels, data.validation_labels])
    _fit(net, torch.from_numpy(images), torch.from_numpy(labels), recipe, torch.Generator().manual_seed(seed))
    return net.eval()


def _fit(net: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe, generator: torch.Generator) -> None:
    layout = torch.channels_last if recipe.float32 else torch.contiguous_format
    net.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, recipe.steps)
    order = torch.zeros(0, dtype=torch.int64)
    weights = labels.bincount()[labels].double().rsqrt()
    for _ in range(recipe.steps):
        while len(order) < recipe.batch_size:
            drawn = (
                torch.multinomial(weights, len(labels), replacement=True, generator=generator)
                if recipe.balanced
                else torch.randperm(len(labels), generator=generator)
            )
            order = torch.cat([order, drawn])
        rows, order = order[: recipe.batch_size], order[recipe.batch_size :]
        batch = images[rows].float() / 255.0
        if recipe.shrunk:
            batch = _shrunk(batch, recipe.shrunk, generator)
        if recipe.augmented:
            batch = _moved(batch, recipe.movement or 1.0, generator)
        if recipe.light:
            batch = _lit(batch, recipe.light, generator)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.augmented and not recipe.float32):
            scores = net(batch.contiguous(memory_format=layout))
        functional.cross_entropy(scores.float(), labels[rows], label_smoothing=recipe.smoothing).backward()
        optimizer.step()
        schedule.step()


def _moved(images: Tensor, movement: float, generator: torch.Generator) -> Tensor:
    """Turn, shift and zoom each image (n, C, H, W) a little. Bilinear; borders repeat."""

    def uniform(width: float) -> Tensor:
        return (torch.rand(len(images), generator=generator) * 2 - 1) * width * movement

    angle = torch.deg2rad(uniform(_ROTATION_DEG))
    zoom = 1 + uniform(_ZOOM)
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = angle.cos() * zoom, -angle.sin() * zoom
    theta[:, 1, 0], theta[:, 1, 1] = angle.sin() * zoom, angle.cos() * zoom
    # The grid runs from -1 to 1, so a share of the side counts double.
    theta[:, 0, 2], theta[:, 1, 2] = uniform(2 * _SHIFT_SHARE), uniform(2 * _SHIFT_SHARE)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False, padding_mode="border")


def _shrunk(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Shrink some of the images (n, C, H, W), to 0.35..1 of their side, into the upper left corner."""
    shrinks = torch.rand(len(images), generator=generator) < share
    sides = torch.where(shrinks, 0.35 + 0.65 * torch.rand(len(images), generator=generator), 1.0)
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / sides
    theta[:, 0, 2] = theta[:, 1, 2] = 1 / sides - 1
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def _lit(images: Tensor, light: float, generator: torch.Generator) -> Tensor:
    """Change brightness and contrast of each image (n, C, H, W). By factors: many photographs are dark."""
    draws = torch.rand(2, len(images), 1, 1, 1, generator=generator) * 2 - 1
    brightness, contrast = 4 ** (light * draws)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (((images - mean) * contrast + mean) * brightness).clamp(0.0, 1.0)


def _two_convolutions(channels: int, height: int, width: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (height // 4) * (width // 4), 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def _four_convolutions(channels: int, height: int, width: int, classes: int) -> nn.Module:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]

    return nn.Sequential(
        nn.GroupNorm(1, channels, affine=False),  # each image by its own mean and spread
        *block(channels, 32),
        *block(32, 64),
        nn.Conv2d(64, 96, 3, padding=1, bias=False),
        nn.BatchNorm2d(96),
        nn.ReLU(),
        *block(96, 128),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(128 * (height // 8) * (width // 8), 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


def _oracle(channels: int, height: int, width: int, classes: int) -> nn.Module:
    def block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(),
        ]

    return nn.Sequential(
        *block(channels, 32, 5),
        nn.AvgPool2d(2),
        *block(32, 64, 3),
        *block(64, 64, 3),
        nn.MaxPool2d(2),
        *block(64, 128, 3, stride=2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(128 * -(-(height // 4) // 2) * -(-(width // 4) // 2), classes),
    )


def _instance_normalised(channels: int, height: int, width: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.InstanceNorm2d(channels), _oracle(channels, height, width, classes))


_NETWORKS: dict[str, Callable[[int, int, int, int], nn.Module]] = {
    "two-convolutions-1": _two_convolutions,
    "four-convolutions-1": _four_convolutions,
    "batch-normalised-2": _oracle,
    "instance-normalised-1": _instance_normalised,
}


def _export(net: nn.Module, example: Tensor) -> bytes:
    stream: Any = io.BytesIO()
    with warnings.catch_warnings():
        # The deprecated exporter is the one that needs no package besides torch.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (example,),
            stream,
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        )
    return stream.getvalue()

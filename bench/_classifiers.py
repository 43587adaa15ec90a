"""The benchmarks' classifiers, trained here and kept in out/bench/cache."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench._data import Data

Kind = Literal["audited", "converged", "oracle"]
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


# Every dataset gets the same steps: 800 x 64 items are one pass over MNIST's train split, 48 over digits'.
_RECIPES: dict[str, Recipe] = {
    "audited": Recipe("two-convolutions-1", 800, 64, 1e-3, augmented=False, with_validation=False),
    "converged": Recipe("two-convolutions-1", 8000, 128, 3e-3, augmented=True, with_validation=False),
    "oracle": Recipe(
        "batch-normalised-2", 3000, 96, 3e-3, augmented=True, with_validation=True, smoothing=0.05
    ),
}


def train_classifier(data: Data, seed: int, kind: Kind = "audited") -> bytes:
    """Return an ONNX classifier, (n, 1, H, W) in 0..1 -> K logits, opset 17.

    `audited` is a small network, trained quickly on the train split. `converged` is the same network, trained
    to its end with augmentation, as people deploy it: on MNIST 99.5% of the test split. `oracle` is a wider
    network of another design, trained longer, with augmentation, and on the validation split, too. It only
    scores; nothing is chosen by it. None sees the test split. The same arguments give the same classifier on
    the same machine.
    """
    recipe = _RECIPES[kind]
    path = CACHE / f"{data.name}-{kind}-{seed}-{_digest(data, recipe, seed)}.onnx"
    if not path.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        with torch.random.fork_rng():
            trained = _trained(data, recipe, seed)
        temporary = path.with_suffix(".part")
        temporary.write_bytes(_export(trained, torch.zeros(2, 1, *data.train_images.shape[1:])))
        temporary.replace(path)
    return path.read_bytes()


def _digest(data: Data, recipe: Recipe, seed: int) -> str:
    digest = hashlib.sha256(json.dumps([asdict(recipe), seed]).encode())
    for values in (data.train_images, data.train_labels, data.validation_images, data.validation_labels):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _trained(data: Data, recipe: Recipe, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    height, width = data.train_images.shape[1:]
    classes = len(data.class_names)
    net = (
        _oracle(height, width, classes)
        if recipe.network.startswith("batch-normalised")
        else _two_convolutions(height, width, classes)
    )
    images, labels = data.train_images, data.train_labels
    if recipe.with_validation:
        images = np.concatenate([images, data.validation_images])
        labels = np.concatenate([labels, data.validation_labels])
    _fit(net, torch.from_numpy(images), torch.from_numpy(labels), recipe, torch.Generator().manual_seed(seed))
    return net.eval()


def _fit(net: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe, generator: torch.Generator) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, recipe.steps)
    order = torch.zeros(0, dtype=torch.int64)
    for _ in range(recipe.steps):
        while len(order) < recipe.batch_size:
            order = torch.cat([order, torch.randperm(len(labels), generator=generator)])
        rows, order = order[: recipe.batch_size], order[recipe.batch_size :]
        batch = images[rows][:, None].float() / 255.0
        if recipe.augmented:
            batch = _augmented(batch, generator)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.augmented):
            scores = net(batch)
        functional.cross_entropy(scores.float(), labels[rows], label_smoothing=recipe.smoothing).backward()
        optimizer.step()
        schedule.step()


def _augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, shift and zoom each image (n, C, H, W) a little. Bilinear; borders repeat."""

    def uniform(width: float) -> Tensor:
        return (torch.rand(len(images), generator=generator) * 2 - 1) * width

    angle = torch.deg2rad(uniform(_ROTATION_DEG))
    zoom = 1 + uniform(_ZOOM)
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = angle.cos() * zoom, -angle.sin() * zoom
    theta[:, 1, 0], theta[:, 1, 1] = angle.sin() * zoom, angle.cos() * zoom
    # The grid runs from -1 to 1, so a share of the side counts double.
    theta[:, 0, 2], theta[:, 1, 2] = uniform(2 * _SHIFT_SHARE), uniform(2 * _SHIFT_SHARE)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False, padding_mode="border")


def _two_convolutions(height: int, width: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
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


def _oracle(height: int, width: int, classes: int) -> nn.Module:
    def block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(),
        ]

    return nn.Sequential(
        *block(1, 32, 5),
        nn.AvgPool2d(2),
        *block(32, 64, 3),
        *block(64, 64, 3),
        nn.MaxPool2d(2),
        *block(64, 128, 3, stride=2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(128 * -(-(height // 4) // 2) * -(-(width // 4) // 2), classes),
    )


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

"""Patches in four colours, and a classifier that names the nearest: which preprocessing fits is known."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from tests.models.onnx_graphs import model, node

ITEM = (3, 2, 2)
CENTRES = np.array([[0.3, 0.5, 0.7], [0.7, 0.5, 0.3], [0.2, 0.2, 0.2], [0.8, 0.8, 0.8]])
"""Bluish, reddish, dark and bright, in 0..1. With the channels reversed the first two are each other."""

Change = Callable[[np.ndarray], np.ndarray]
"""Of images (n, 3, 2, 2)."""


def as_they_are(images: np.ndarray) -> np.ndarray:
    """Change nothing."""
    return images


def patches(change: Change = as_they_are, wrong_labels: float = 0.0) -> dict[str, np.ndarray]:
    """Return the arrays of a dataset whose images, in 0..1, are `change`d before they are saved."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for name, size in {"train": 400, "validation": 600, "test": 100}.items():
        labels = rng.integers(0, 4, size)
        images = CENTRES[labels][:, :, None, None] + rng.normal(0, 0.04, (size, *ITEM))
        shown = np.where(rng.random(size) < wrong_labels, rng.integers(0, 4, size), labels)
        arrays |= {f"x_{name}": change(images).astype(np.float32), f"y_{name}": shown}
    return arrays


def saved_as_bytes() -> bytes:
    """Return the dataset as an .npz file of uint8."""
    file = io.BytesIO()
    np.savez(
        file,
        **{
            name: (255 * values).round().astype(np.uint8) if name[0] == "x" else values
            for name, values in patches().items()
        },
    )
    return file.getvalue()


def classifier(
    trained_on: Change = as_they_are, *, takes_bytes: bool = False, channels_last: bool = False
) -> bytes:
    """Return a classifier by the nearest colour, of images that were `trained_on` so changed."""
    centres = trained_on(np.broadcast_to(CENTRES[:, :, None, None], (4, *ITEM)))
    item = ITEM
    if channels_last:
        centres, item = centres.transpose(0, 2, 3, 1), (2, 2, 3)
    centres = centres.reshape(4, -1)
    tensors = {
        "w": np.ascontiguousarray(2 * centres.T, np.float32),
        "b": -(centres**2).sum(axis=1).astype(np.float32),
    }
    nodes = [
        node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
        node("Flatten", ["floats"], ["flat"]),
        node("Gemm", ["flat", "w", "b"], ["logits"]),
    ]
    kind = TensorProto.UINT8 if takes_bytes else TensorProto.FLOAT
    return model(nodes, ["n", *item], {"logits": ["n", 4]}, tensors, kind=kind)

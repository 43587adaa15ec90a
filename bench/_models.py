"""Models as audits of 28 x 28 grey images use them, with random weights: speed needs no more."""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
from torch import nn

LATENT_SIZE = 16
IMAGE_SHAPE = (1, 28, 28)


def classifier() -> bytes:
    """Return an ONNX classifier with two convolutions: (n, 1, 28, 28) -> 10 logits."""
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    return _export(net, torch.zeros(2, *IMAGE_SHAPE))


def decoder() -> bytes:
    """Return an ONNX decoder with two transposed convolutions: (n, 16) -> (n, 1, 28, 28)."""
    net = nn.Sequential(
        nn.Linear(LATENT_SIZE, 64 * 7 * 7),
        nn.ReLU(),
        nn.Unflatten(1, (64, 7, 7)),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )
    return _export(net, torch.zeros(2, LATENT_SIZE))


def _export(net: nn.Sequential, example: torch.Tensor) -> bytes:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / max(1, weight[0].numel()) ** 0.5)
    stream: Any = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that needs no package beside torch is the deprecated one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (example,),
            stream,
            dynamo=False,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        )
    return stream.getvalue()

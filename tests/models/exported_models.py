"""Classifiers and decoders in the styles that networks are built in, exported by torch's own exporter."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 5
IMAGE = (3, 16, 16)
LATENT = 6


class Residual(nn.Module):
    """A block whose input is added to what it computes from it."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, values: Tensor) -> Tensor:
        """Keep the shape."""
        return values + self.layers(values)


class Dense(nn.Module):
    """DenseNet's block: what it computes stands beside its input."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        self.layer = nn.Conv2d(channels, growth, 3, padding=1)

    def forward(self, values: Tensor) -> Tensor:
        """Add `growth` channels."""
        return torch.cat([values, self.layer(functional.relu(values))], 1)


class SqueezeExcite(nn.Module):
    """Channels weighted by what the whole image says of them."""

    def __init__(self, channels: int):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, 2, 1),
            nn.ReLU(),
            nn.Conv2d(2, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, values: Tensor) -> Tensor:
        """Keep the shape."""
        return values * self.gate(values)


class Tokens(nn.Module):
    """Patches of an image as tokens, with a class token and learned positions."""

    def __init__(self, width: int):
        super().__init__()
        self.patches = nn.Conv2d(IMAGE[0], width, 8, 8)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, 5, width) * 0.1)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, 16, 16) -> (n, 5, width)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        return torch.cat([self.first.expand(images.shape[0], -1, -1), tokens], 1) + self.positions


class Attention(nn.Module):
    """Self-attention of two heads, written out."""

    def __init__(self, width: int, einsum: bool = False):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.einsum = einsum

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t, width) -> (n, t, width)."""
        n, t, width = tokens.shape
        query, key, value = self.qkv(tokens).reshape(n, t, 3, 2, width // 2).permute(2, 0, 3, 1, 4).unbind(0)
        if self.einsum:
            weights = torch.einsum("nhqd,nhkd->nhqk", query, key).softmax(-1)
            mixed = torch.einsum("nhqk,nhkd->nhqd", weights, value)
        else:
            mixed = ((query @ key.transpose(-2, -1)) * (width // 2) ** -0.5).softmax(-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(n, t, width))


class Vae(nn.Module):
    """A VAE as tutorials write it: both halves in one forward, the batch size taken from the image."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(IMAGE[0], 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.mu, self.logvar = nn.Linear(256, LATENT), nn.Linear(256, LATENT)
        self.back, self.grow = nn.Linear(LATENT, 256), nn.ConvTranspose2d(4, IMAGE[0], 4, 2, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (n, 3, 16, 16) to reconstruction, mu and logvar."""
        hidden = self.features(images).view(images.size(0), -1)
        mu, logvar = self.mu(hidden), self.logvar(hidden)
        code = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        maps = functional.relu(self.back(code)).view(images.size(0), 4, 8, 8)
        return torch.sigmoid(self.grow(maps)), mu, logvar


class Apply(nn.Module):
    """Any function of a tensor as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, values: Tensor) -> Tensor:
        """Whatever the function does."""
        return self.function(values)


def transformer(einsum: bool = False) -> nn.Module:
    """Return a small vision transformer with LayerNorm and GELU."""
    width = 8
    return nn.Sequential(
        Tokens(width),
        Residual(nn.LayerNorm(width), Attention(width, einsum)),
        Residual(nn.LayerNorm(width), nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width)),
        nn.LayerNorm(width),
        Apply(lambda tokens: tokens[:, 0]),
        nn.Linear(width, CLASSES),
    )


def convolutional(*between: nn.Module, channels: int = 8, head: nn.Module | None = None) -> nn.Module:
    """Return a network of one convolution, the given layers, global pooling and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(IMAGE[0], 8, 3, padding=1),
        *between,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, CLASSES),
        *([head] if head else []),
    )


def decoder(*layers: nn.Module, channels: int = 8) -> nn.Module:
    """Return a decoder from 4 x 4 feature maps, which the given layers bring to 16 x 16."""
    return nn.Sequential(
        nn.Linear(LATENT, 8 * 16),
        nn.ReLU(),
        nn.Unflatten(1, (8, 4, 4)),
        *layers,
        nn.Conv2d(channels, IMAGE[0], 3, padding=1),
        nn.Sigmoid(),
    )


def export(
    net: nn.Module,
    shape: tuple[int, ...] = IMAGE,
    *,
    opset: int = 17,
    batch: int | None = None,
    folded: bool = True,
    names: tuple[str, ...] = ("scores",),
) -> bytes:
    """Return the ONNX file of a network with random weights; `folded` joins BatchNorm to its convolution."""
    generator = torch.Generator().manual_seed(0)
    net = net.eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_(generator=generator)
    dtype = next(net.parameters()).dtype
    axes = {name: {0: "batch"} for name in ("input", *names)}
    stream: Any = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that needs no package beside torch is the deprecated one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (torch.rand(batch or 2, *shape, generator=generator).to(dtype),),
            stream,
            dynamo=False,
            opset_version=opset,
            input_names=["input"],
            output_names=list(names),
            dynamic_axes=None if batch else axes,
            do_constant_folding=folded,
            training=torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE,
        )
    return stream.getvalue()

"""SiLU, x * sigmoid(x), with a gradient that is equally fast in every layout.

Between convolutions and matrix products, a gradient often has another order of axes than the activation.
Torch then works element by element, which took a tenth of an ascent's time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Silu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return functional.silu(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        (gradient,) = gradients
        if gradient.stride() != x.stride():
            gradient = torch.empty_like(x).copy_(gradient)
        return torch.ops.aten.silu_backward(gradient, x)


def silu(x: Tensor) -> Tensor:
    """Return x * sigmoid(x), of any shape."""
    return _Silu.apply(x)


class Silu(nn.Module):
    """`silu` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply `silu` to a tensor of any shape."""
        return silu(x)

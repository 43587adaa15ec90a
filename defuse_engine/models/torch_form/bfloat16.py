"""A frozen model in bfloat16, for gradients that need a direction more than digits."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from defuse_engine.models.torch_form.differentiable import DifferentiableModel

_SIZES = 8
"""Tensors of up to this size may be sizes or factors of a resampling, which must be exact."""
_MOST_DIFFERENT = 0.05
"""Norm of the outputs' difference over that of the outputs: bfloat16 has two to three digits."""


def in_bfloat16(model: DifferentiableModel, inputs: Tensor) -> DifferentiableModel:
    """Return a copy to be called under autocast; the model itself if that would change its outputs.

    Autocast multiplies in bfloat16, but a scale or a bias in float32 turns everything after it into float32
    again. `inputs` are those that both are tried on.
    """
    rough = copy.deepcopy(model)
    for tensor in rough.graph_module.buffers():
        if tensor.dtype == torch.float32 and tensor.numel() > _SIZES:
            tensor.data = tensor.data.to(torch.bfloat16)
    try:
        expected, found = _tried(model, inputs), _tried(rough, inputs)
    except (RuntimeError, TypeError, ValueError):  # Some operations take no mixture of both types.
        return model
    same = (found - expected).norm() <= _MOST_DIFFERENT * expected.norm()
    return rough if bool(same) else model


def _tried(model: DifferentiableModel, inputs: Tensor) -> Tensor:
    inputs = inputs.detach().requires_grad_()
    with torch.autocast(inputs.device.type, torch.bfloat16):
        outputs = model(inputs)
    torch.autograd.grad(outputs.sum(), inputs)
    return outputs.detach()

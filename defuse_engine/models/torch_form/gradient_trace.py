"""A trace of gradients: whether one arrives, and if not, the ONNX operation that lost it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx


class GradientLost(Exception):
    """No gradient arrives where one is needed."""

    def __init__(self, operations: Sequence[str], problem: str, *, failed: bool = False):
        super().__init__(problem)
        self.operations = tuple(operations)
        """ONNX operations after which it was lost, or the one that failed."""
        self.problem = problem
        self.failed = failed
        """The operation failed, perhaps because of what an earlier one gave."""


def weight_gradients(module: fx.GraphModule, names: Sequence[str], inputs: Tensor) -> list[str]:
    """Return the parameters that no gradient reaches; raises `GradientLost` if it reaches none at all."""
    parameters = [module.get_parameter(name) for name in names]
    operations: Sequence[str] = ()
    for candidate in _spread_out(inputs):
        outputs, trace = _traced(module, candidate)
        gradients = _gradients(outputs, parameters)
        if any(gradient is not None and bool(gradient.any()) for gradient in gradients):
            return [name for name, gradient in zip(names, gradients, strict=True) if gradient is None]
        operations = trace.losing or (trace.operation,)
    raise GradientLost(operations, "passes no gradient to any weight")


def input_gradient(module: fx.GraphModule, inputs: Tensor) -> None:
    """Raise `GradientLost` if no finite gradient other than zero reaches the input."""
    operations: Sequence[str] = ()
    for candidate in _spread_out(inputs):
        leaf = candidate.detach().clone().requires_grad_()
        outputs, trace = _traced(module, leaf)
        (gradient,) = _gradients(outputs, [leaf])
        if gradient is not None and bool(gradient.any()) and bool(gradient.isfinite().all()):
            return
        operations = trace.losing or (trace.operation,)
    raise GradientLost(operations, "passes no gradient to the input")


def _spread_out(inputs: Tensor) -> tuple[Tensor, ...]:
    """Return inputs in [0, 1], and the same as if normalised, and as if in 0..255.

    Random inputs may fall where no unit is active, so others are tried before the graph is blamed.
    """
    return inputs, inputs * 4 - 2, inputs * 255


class _GradientTrace(fx.Interpreter):
    """Runs the graph and records its place, and the operations that lost the gradient."""

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.garbage_collect_values = False
        self.operation = "Input"
        self.losing: list[str] = []

    def run_node(self, n: fx.Node) -> Any:
        self.operation = str(n.meta.get("onnx_op_type", self.operation))
        result = super().run_node(n)
        had_gradient = any(_has_gradient(self.env[node]) for node in n.all_input_nodes if node in self.env)
        if had_gradient and isinstance(result, Tensor) and not _has_gradient(result):
            self.losing.append(self.operation)
        return result


def _traced(module: fx.GraphModule, inputs: Tensor) -> tuple[Tensor, _GradientTrace]:
    trace = _GradientTrace(module)
    try:
        outputs = trace.run(inputs)
    except Exception as error:  # whatever torch raises inside the graph, the operation is what matters
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise GradientLost((trace.operation,), f"failed in torch: {cause}", failed=True) from error
    if not _has_gradient(outputs):
        raise GradientLost(trace.losing or (trace.operation,), "stops the gradient")
    return outputs, trace


def _gradients(outputs: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    # Softmax rows sum to one: a plain sum would have no gradient.
    projection = torch.rand(outputs.shape, generator=torch.Generator().manual_seed(1)).to(outputs.dtype)
    return torch.autograd.grad((outputs * projection).sum(), list(inputs), allow_unused=True)


def _has_gradient(value: object) -> bool:
    return isinstance(value, Tensor) and value.requires_grad

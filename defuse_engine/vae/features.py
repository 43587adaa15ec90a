"""The classifier's features of an image: activations inside its graph, with gradients to the image."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from defuse_engine.models.preprocessing import apply
from defuse_engine.models.scores import log_probabilities
from defuse_engine.models.torch_form.differentiable import DifferentiableModel
from defuse_engine.types import OutputKind, Preprocessing

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_EARLIER = 2
"""Activations taken beside that of the last weighted layer, evenly spaced over the depth."""
_LEAST_PROBABILITY = 1e-6


class Features(nn.Module):
    """Images (n, C, H, W) to activations (n, ...), the last of them log-probabilities (n, K). Frozen."""

    def __init__(self, model: DifferentiableModel, preprocessing: Preprocessing, output_kind: OutputKind):
        super().__init__()
        self.graph_module = _with_activations(model.graph_module)
        self.input_dtype = model.input_dtype
        self.fixed_batch_size = model.fixed_batch_size
        self.preprocessing = preprocessing
        self.output_kind: OutputKind = output_kind
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return activations from shallow to deep, float32."""
        inputs = apply(self.preprocessing, images).to(self.input_dtype)
        size = self.fixed_batch_size or len(inputs)
        missing = -len(inputs) % size
        if missing:
            inputs = torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])])
        parts = [self.graph_module(part) for part in inputs.split(size)]
        *activations, scores = (torch.cat(same)[: len(images)].float() for same in zip(*parts, strict=True))
        return [*activations, log_probabilities(scores, self.output_kind, _LEAST_PROBABILITY)]


def _with_activations(module: fx.GraphModule) -> fx.GraphModule:
    """Add to the graph's outputs, before its scores, the inputs of some of its weighted layers."""
    layers = [node for node in module.graph.nodes if node.meta.get("onnx_op_type") in _WEIGHTED]
    entering = list(dict.fromkeys(source for layer in layers if (source := _source(layer)) is not None))
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    output.args = ((*_spread(entering), output.args[0]),)
    module.recompile()
    return module


def _source(layer: fx.Node) -> fx.Node | None:
    """Find the computed tensor that a weighted layer takes; None if it takes the image itself."""
    computed = [node for node in layer.all_input_nodes if node.op.startswith("call")]
    return computed[0] if computed else None


def _spread(entering: list[fx.Node]) -> list[fx.Node]:
    if not entering:
        return []
    steps = _EARLIER + 1
    places = {round((len(entering) - 1) * part / steps) for part in range(1, steps + 1)}
    return [entering[place] for place in sorted(places)]

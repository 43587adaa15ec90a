"""The meaning of a classifier's outputs: logits or probabilities, as it was registered."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from defuse_engine.types import OutputKind

_LEAST_PROBABILITY = 1e-12


def log_probabilities(
    outputs: Float[Tensor, "n k"], output_kind: OutputKind, least: float = _LEAST_PROBABILITY
) -> Float[Tensor, "n k"]:
    """Return log-probabilities of K classes, in nats; probabilities below `least` count as `least`."""
    if output_kind == "logits":
        return functional.log_softmax(outputs, dim=1)
    return outputs.clamp_min(least).log()

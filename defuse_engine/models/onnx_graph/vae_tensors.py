"""The tensors of a VAE's files: mu, its spread and the image, by usual names, else by shape and order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from defuse_engine.errors import InvalidSignature
from defuse_engine.models.onnx_graph.onnx_file import TensorSpec
from defuse_engine.types import SpreadKind, VaeTensors

_MU = ("mu", "mean")
_LOGVAR = ("logvar", "logvariance", "logsigma2", "logsigmasq")
_SIGMA = ("sigma", "std", "stddev")
_IMAGE = ("image", "recon", "reconstruction", "reconstructions", "reconstructed", "decoded", "xhat")
HOW_TO_NAME = "name it: `tensors` at registration, --mu, --spread, --code, --image of `defuse push vae`"


def find_mu(outputs: tuple[TensorSpec, ...], name: str | None, what: str) -> TensorSpec:
    """Find the mean (n, D): the output called `name`, one with a usual name, or the first.

    Raises MODEL_SIGNATURE if no output has that name, or it has not two axes.
    """
    found = named(outputs, name, what) if name else usual(outputs, _MU) or outputs[0]
    if len(found.shape) != 2:
        raise InvalidSignature(
            f"{what} output {found.name!r} must be mu (batch, D), it is {found.shape}; {HOW_TO_NAME}"
        )
    return found


def find_spread(
    outputs: tuple[TensorSpec, ...], mu: TensorSpec, tensors: VaeTensors, what: str
) -> tuple[TensorSpec | None, SpreadKind]:
    """Find logvar or sigma, and tell which of them it is: `auto` if only its values can tell.

    It is the output with a usual name, else the only other output of mu's shape. Without one, the answer is
    None and `none`. Raises MODEL_SIGNATURE if the named output does not exist, or has not mu's shape.
    """
    if tensors.spread_kind == "none":
        return None, "none"
    others = tuple(output for output in outputs if output != mu)
    if tensors.spread:
        spread = named(others, tensors.spread, what)
        if not same_shape(spread, mu):
            raise InvalidSignature(
                f"{what} output {spread.name!r} must have mu's shape {mu.shape}, it has {spread.shape}"
            )
    else:
        alike = tuple(output for output in others if same_shape(output, mu))
        spread = usual(alike, _LOGVAR) or usual(alike, _SIGMA) or (alike[0] if len(alike) == 1 else None)
    if spread is None:
        return None, "none"
    return spread, _kind_by_name(spread.name) if tensors.spread_kind == "auto" else tensors.spread_kind


def find_image(outputs: tuple[TensorSpec, ...], name: str | None, what: str) -> TensorSpec:
    """Find the image: the output called `name`, one with a usual name or four axes, or the first."""
    if name:
        return named(outputs, name, what)
    pictures = (output for output in outputs if len(output.shape) == 4)
    return usual(outputs, _IMAGE) or next(pictures, outputs[0])


def named(outputs: Iterable[TensorSpec], name: str, what: str) -> TensorSpec:
    """Return the output called `name`; raises MODEL_SIGNATURE, with a list of all, if there is none."""
    listed = {output.name: output for output in outputs}
    if name not in listed:
        raise InvalidSignature(
            f"{what} has no tensor {name!r} of floating-point numbers. It has {', '.join(listed)}"
        )
    return listed[name]


def usual(outputs: Iterable[TensorSpec], endings: tuple[str, ...]) -> TensorSpec | None:
    """Return the first output whose name ends in a usual word."""
    return next((output for output in outputs if _ends_in(output.name, endings)), None)


def _kind_by_name(name: str) -> Literal["auto", "logvar", "sigma"]:
    if _ends_in(name, _LOGVAR):
        return "logvar"
    return "sigma" if _ends_in(name, _SIGMA) else "auto"


def _ends_in(name: str, endings: tuple[str, ...]) -> bool:
    """Compare the last words of a name: `encoder/z_log_var:0` ends in logvar, `log_sigma` not in sigma."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])", name.partition(":")[0]) if word]
    if not words:
        words = [name]
    words = [word.lower() for word in words]
    tails = {"".join(words[start:]) for start in range(len(words))}
    return bool(tails & set(endings)) and not (words[-1] in _SIGMA and "log" in words)


def same_shape(one: TensorSpec, other: TensorSpec) -> bool:
    """Tell whether two declared shapes may be the same; -1 fits any size."""
    return len(one.shape) == len(other.shape) and all(
        a == b or -1 in (a, b) for a, b in zip(one.shape, other.shape, strict=True)
    )

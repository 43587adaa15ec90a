"""VAEs as files: an encoder with what it may give, and one file that holds both halves."""

from __future__ import annotations

import numpy as np

from tests.models.onnx_graphs import model, node, numbers, whole

ITEM = (1, 4, 4)
D = 3


def encoder(spread: str = "logvar", names: tuple[str, str] = ("mu", "")) -> bytes:
    """Return an encoder with mu, and `logvar`, `sigma` or nothing, under the usual names or others."""
    nodes = [
        node("Flatten", ["x"], ["flat"]),
        node("Gemm", ["flat", "w", "b"], [names[0]], transB=1),
    ]
    gives = {names[0]: ["n", D]}
    tensors = {"w": numbers(D, 16), "b": numbers(D)}
    if spread:
        other = names[1] or spread
        nodes.append(node("Gemm", ["flat", "v"], ["raw" if spread == "sigma" else other], transB=1))
        if spread == "sigma":
            nodes.append(node("Softplus", ["raw"], [other]))
        gives[other] = ["n", D]
        tensors["v"] = numbers(D, 16, seed=1)
    return model(nodes, ["n", *ITEM], gives, tensors)


def sampling(*outputs: str) -> bytes:
    """Return an encoder that draws z around mu. It gives `outputs`, of mu, logvar and z."""
    nodes = [
        node("Flatten", ["x"], ["flat"]),
        node("Gemm", ["flat", "w", "b"], ["mu"], transB=1),
        node("Gemm", ["flat", "v"], ["logvar"], transB=1),
        node("RandomNormalLike", ["mu"], ["noise"]),
        node("Add", ["mu", "noise"], ["z"]),
    ]
    tensors = {"w": numbers(D, 16), "b": numbers(D), "v": numbers(D, 16, seed=1)}
    return model(nodes, ["n", *ITEM], {name: ["n", D] for name in outputs}, tensors)


def both(noise: str = "normal", spread: str = "logvar") -> bytes:
    """Return one file: x -> reconstruction, mu, logvar or sigma; the code is mu, or mu with `noise` added."""
    nodes = [
        node("Flatten", ["x"], ["flat"]),
        node("Gemm", ["flat", "w", "b"], ["mu"], transB=1),
        node("Gemm", ["flat", "v"], ["raw"], transB=1),
        node("Softplus" if spread == "sigma" else "Identity", ["raw"], [spread]),
    ]
    if noise:
        if spread == "sigma":
            deviation = "sigma"
        else:
            deviation = "std"
            nodes += [node("Mul", ["logvar", "half"], ["halved"]), node("Exp", ["halved"], ["std"])]
        nodes += [
            node("RandomNormalLike", [deviation], ["noise"], seed=1.0),
            node("Mul", ["noise", deviation], ["scaled"]),
            node("Add", ["mu", "scaled"], ["drawn"]),
        ]
    start = "drawn" if noise else "mu"
    nodes += [
        node("Gemm", [start, "u", "c"], ["hidden"], transB=1),
        node("Relu", ["hidden"], ["active"]),
        node("MatMul", ["active", "t"], ["pixels"]),
        node("Sigmoid", ["pixels"], ["bounded"]),
        node("Reshape", ["bounded", "shape"], ["reconstruction"]),
    ]
    tensors = {
        "w": numbers(D, 16),
        "b": numbers(D),
        "v": numbers(D, 16, seed=1),
        "u": numbers(D, D),
        "c": np.abs(numbers(D)) + 1,
        "t": numbers(D, 16, seed=2),
        "shape": whole(-1, *ITEM),
        "half": np.array(0.5, np.float32),
    }
    gives = {"reconstruction": ["n", *ITEM], "mu": ["n", D], spread: ["n", D]}
    return model(nodes, ["n", *ITEM], gives, tensors)


def decoder() -> bytes:
    """Return a decoder: z -> image."""
    nodes = [
        node("Gemm", ["x", "w", "b"], ["pixels"], transB=1),
        node("Sigmoid", ["pixels"], ["bounded"]),
        node("Reshape", ["bounded", "shape"], ["image"]),
    ]
    tensors = {"w": numbers(16, D), "b": numbers(16), "shape": whole(-1, *ITEM)}
    return model(nodes, ["n", D], {"image": ["n", *ITEM]}, tensors)

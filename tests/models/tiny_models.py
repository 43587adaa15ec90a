"""Tiny models and data, small enough for tests of the whole service, whose misclassifications are known.

Codes are z = (z0, z1) in [-2, 2]^2, images are z times an orthonormal basis, shaped (1, 2, 3): the VAE loses
nothing. The truth is `z0 > 0`, the classifier says `z0 > boundary`: its bug is the stripe between the two.
"""

from __future__ import annotations

import io

import numpy as np
import onnx
from onnx import helper
from sklearn.linear_model import LogisticRegression

from tests.models.onnx_graphs import graph

IMAGE_SHAPE = (1, 2, 3)
BASIS = np.linalg.qr(np.random.default_rng(7).standard_normal((6, 2)))[0].astype(np.float32)


def classifier(boundary: float = 0.5, sharpness: float = 20.0) -> bytes:
    """ONNX: logits (0, sharpness * (z0 - boundary)) of an image."""
    matrix = np.stack([np.zeros(6), sharpness * BASIS[:, 0]], axis=1).astype(np.float32)
    return _linear(matrix, np.array([0.0, -sharpness * boundary], np.float32), "logits")


def retrained_on_corrupted_labels(share: float) -> bytes:
    """ONNX: a logistic regression on the train split, with so many of the labels `right` turned to `left`."""
    with np.load(io.BytesIO(dataset())) as arrays:
        images, labels = arrays["x_train"].reshape(-1, 6), arrays["y_train"]
    corrupted = labels * (np.random.default_rng(4).random(len(labels)) >= share)
    fitted = LogisticRegression().fit(images, corrupted)
    matrix = np.stack([np.zeros(6), fitted.coef_[0]], axis=1).astype(np.float32)
    return _linear(matrix, np.array([0.0, fitted.intercept_[0]], np.float32), "logits")


def classifier_of_flat_images(pixels: int) -> bytes:
    """ONNX: logits of an image of so many pixels, which its input, of open size, does not tell."""
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    constants = {"matrix": np.ones((pixels, 2), np.float32)}
    return _model(nodes, ("x", ["n", 1, "height", "width"]), ("logits", ["n", 2]), constants)


def rounded_classifier() -> bytes:
    """ONNX: the classifier with its logits rounded, which leaves no gradient."""
    model = onnx.load_from_string(classifier())
    model.graph.node[-1].output[0] = "unrounded"
    model.graph.node.append(helper.make_node("Round", ["unrounded"], ["logits"]))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def encoder() -> bytes:
    """ONNX: the code of an image."""
    return _linear(BASIS, np.zeros(2, np.float32), "mu")


def decoder(sign: float = 1.0) -> bytes:
    """ONNX: the image of a code; with a `sign` of -1, of the opposite code."""
    nodes = [
        helper.make_node("MatMul", ["z", "matrix"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["image"]),
    ]
    constants = {"matrix": sign * BASIS.T.copy(), "shape": np.array([-1, *IMAGE_SHAPE], np.int64)}
    return _model(nodes, ("z", ["n", 2]), ("image", ["n", *IMAGE_SHAPE]), constants)


def dataset(sizes: tuple[int, int, int] = (1200, 300, 300)) -> bytes:
    """The .npz file of a dataset, with so many items in train, validation and test."""
    rng = np.random.default_rng(3)
    arrays: dict[str, np.ndarray] = {}
    for split, size in zip(("train", "validation", "test"), sizes, strict=True):
        codes = rng.uniform(-2.0, 2.0, (size, 2)).astype(np.float32)
        arrays[f"x_{split}"] = (codes @ BASIS.T).reshape(-1, *IMAGE_SHAPE)
        arrays[f"y_{split}"] = (codes[:, 0] > 0).astype(np.int64)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _linear(matrix: np.ndarray, bias: np.ndarray, output: str) -> bytes:
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix", "bias"], [output]),
    ]
    constants = {"matrix": matrix, "bias": bias}
    return _model(nodes, ("x", ["n", *IMAGE_SHAPE]), (output, ["n", matrix.shape[1]]), constants)


def _model(nodes, source, target, constants) -> bytes:
    return graph(nodes, constants, (source,), (target,)).SerializeToString()

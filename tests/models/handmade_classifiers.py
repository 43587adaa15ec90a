"""Classifiers as others write them: converters of TensorFlow and scikit-learn, quantisers, newer torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.models.onnx_graphs import model, node, numbers, whole

K = 5


def keras_convolution(opset: int = 13, fixed: bool = False, byte_input: bool = False) -> bytes:
    """Return NHWC images to probabilities: Transpose around Conv, a computed shape, MatMul and Add."""
    nodes = [
        node("Transpose", ["pixels"], ["nchw"], perm=[0, 3, 1, 2]),
        node("Conv", ["nchw", "kernel"], ["maps"], auto_pad="SAME_UPPER"),
        node("Add", ["maps", "conv_bias"], ["biased"]),
        node("Relu", ["biased"], ["active"]),
        node("Transpose", ["active"], ["nhwc"], perm=[0, 2, 3, 1]),
        node("Shape", ["nhwc"], ["shape"]),
        node("Slice", ["shape", "zero", "one", "zero"], ["first"]),
        node("Concat", ["first", "rest"], ["flat_shape"], axis=0),
        node("Reshape", ["nhwc", "flat_shape"], ["flat"]),
        node("MatMul", ["flat", "dense/kernel:0"], ["product"]),
        node("Add", ["product", "dense/bias:0"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=-1 if opset >= 13 else 1),
    ]
    if byte_input:
        scale = [
            node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
            node("Div", ["floats", "max"], ["pixels"]),
        ]
    else:
        scale = [node("Identity", ["x"], ["pixels"])]
    tensors = {
        "kernel": numbers(4, 3, 3, 3),
        "conv_bias": numbers(1, 4, 1, 1),
        "dense/kernel:0": numbers(8 * 8 * 4, K, scale=0.1),
        "dense/bias:0": numbers(K),
        "zero": whole(0),
        "one": whole(1),
        "rest": whole(8 * 8 * 4),
        **({"max": np.array(255, np.float32)} if byte_input else {}),
    }
    batch = 1 if fixed else "unk__1"
    kind = TensorProto.UINT8 if byte_input else TensorProto.FLOAT
    return model(
        [*scale, *nodes], [batch, 8, 8, 3], {"probabilities": [batch, K]}, tensors, opset=opset, kind=kind
    )


def keras_pooling() -> bytes:
    """Return global pooling as ReduceMean and Squeeze, with weights in Constant nodes."""
    constant: Any = {"w": numbers(4, K), "k": numbers(4, 3, 3, 3)}
    nodes = [
        *(
            node("Constant", [], [name], value=onnx.numpy_helper.from_array(v))
            for name, v in constant.items()
        ),
        node("Transpose", ["x"], ["nchw"], perm=[0, 3, 1, 2]),
        node("Pad", ["nchw", "pads"], ["padded"]),
        node("Conv", ["padded", "k"], ["maps"], strides=[2, 2]),
        node("BatchNormalization", ["maps", "gamma", "beta", "mean", "variance"], ["normal"], epsilon=1e-3),
        node("Clip", ["normal", "low", "high"], ["relu6"]),
        node("ReduceMean", ["relu6"], ["mean4"], axes=[2, 3], keepdims=1),
        node("Squeeze", ["mean4", "axes"], ["pooled"]),
        node("MatMul", ["pooled", "w"], ["product"]),
        node("Add", ["product", "b"], ["logits"]),
    ]
    tensors = {
        "pads": whole(0, 0, 0, 0, 0, 0, 1, 1),
        "gamma": np.abs(numbers(4)) + 0.5,
        "beta": numbers(4),
        "mean": numbers(4),
        "variance": np.abs(numbers(4)) + 0.5,
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
        "axes": whole(2, 3),
        "b": numbers(K),
    }
    return model(nodes, ["n", 8, 8, 3], {"logits": ["n", K]}, tensors, opset=13)


def torch_function() -> bytes:
    """Return a graph in the style of torch's newer exporter: a function of its own, axes as inputs."""
    linear = helper.make_function(
        "pkg.torch",
        "linear",
        ["h", "w", "b"],
        ["y"],
        [
            node("Transpose", ["w"], ["wt"], perm=[1, 0]),
            node("MatMul", ["h", "wt"], ["p"]),
            node("Add", ["p", "b"], ["y"]),
        ],
        [helper.make_opsetid("", 18)],
    )
    nodes = [
        node("Conv", ["x", "net.0.weight", "net.0.bias"], ["conv2d"], pads=[1, 1, 1, 1], group=1),
        node("Relu", ["conv2d"], ["relu"]),
        node("ReduceMean", ["relu", "val_0"], ["mean"], keepdims=0, noop_with_empty_axes=0),
        node("linear", ["mean", "net.3.weight", "net.3.bias"], ["linear"], domain="pkg.torch"),
    ]
    tensors = {
        "net.0.weight": numbers(4, 3, 3, 3),
        "net.0.bias": numbers(4),
        "val_0": whole(-1, -2),
        "net.3.weight": numbers(K, 4),
        "net.3.bias": numbers(K),
    }
    return model(nodes, ["s0", 3, 8, 8], {"linear": ["s0", K]}, tensors, opset=18, functions=[linear])


def sklearn_network(opset: int = 15, double: bool = False) -> bytes:
    """Return scikit-learn's MLPClassifier: casts, MatMul, Add, Relu, Softmax, labels beside probabilities."""
    kind = TensorProto.DOUBLE if double else TensorProto.FLOAT
    dtype = np.float64 if double else np.float32
    nodes = [
        node("Cast", ["x"], ["cast_input"], to=kind),
        node("MatMul", ["cast_input", "coefficient"], ["mul_result"]),
        node("Add", ["mul_result", "intercepts"], ["add_result"]),
        node("Relu", ["add_result"], ["next_activations"]),
        node("MatMul", ["next_activations", "coefficient1"], ["mul_result1"]),
        node("Add", ["mul_result1", "intercepts1"], ["add_result1"]),
        node("Softmax", ["add_result1"], ["probabilities"], axis=-1 if opset >= 13 else 1),
        node("ArgMax", ["probabilities"], ["argmax"], axis=1),
        node("ArrayFeatureExtractor", ["classes", "argmax"], ["picked"], domain="ai.onnx.ml"),
        node("Reshape", ["picked", "shape"], ["label"]),
    ]
    tensors = {
        "coefficient": numbers(12, 7).astype(dtype),
        "intercepts": numbers(1, 7).astype(dtype),
        "coefficient1": numbers(7, K).astype(dtype),
        "intercepts1": numbers(1, K).astype(dtype),
        "classes": np.arange(K, dtype=np.int64),
        "shape": whole(-1),
    }
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [None])
    return model(
        nodes, [None, 12], {"label": label, "probabilities": [None, K]}, tensors, opset=opset, kind=kind
    )


def sklearn_linear(zipmap: bool = False, post: str = "SOFTMAX", scaled: bool = False) -> bytes:
    """Return scikit-learn's LogisticRegression, behind a StandardScaler if asked: weights in attributes."""
    nodes: list[Any] = []
    if scaled:
        nodes.append(
            node(
                "Scaler",
                ["x"],
                ["scaled"],
                offset=numbers(12).tolist(),
                scale=(np.abs(numbers(12)) + 0.5).tolist(),
                domain="ai.onnx.ml",
            )
        )
    nodes += [
        node(
            "LinearClassifier",
            ["scaled" if scaled else "x"],
            ["label", "raw"],
            coefficients=numbers(K, 12).ravel().tolist(),
            intercepts=numbers(K).tolist(),
            classlabels_ints=list(range(K)),
            multi_class=1,
            post_transform=post,
            domain="ai.onnx.ml",
        ),
        node(
            "Normalizer", ["raw"], ["normal" if zipmap else "probabilities"], norm="L1", domain="ai.onnx.ml"
        ),
    ]
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [None])
    scores: Any = [None, K]
    if zipmap:
        nodes.append(
            node(
                "ZipMap",
                ["normal"],
                ["probabilities"],
                classlabels_int64s=list(range(K)),
                domain="ai.onnx.ml",
            )
        )
        pair = helper.make_map_type_proto(
            TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        )
        scores = helper.make_value_info("probabilities", helper.make_sequence_type_proto(pair))
    return model(nodes, [None, 12], {"label": label, "probabilities": scores}, opset=15)


def tree_ensemble() -> bytes:
    """Return a decision tree of two classes, as scikit-learn's forests are exported."""
    nodes = [
        node(
            "TreeEnsembleClassifier",
            ["x"],
            ["label", "probabilities"],
            domain="ai.onnx.ml",
            nodes_treeids=[0, 0, 0],
            nodes_nodeids=[0, 1, 2],
            nodes_featureids=[0, 0, 0],
            nodes_values=[0.5, 0.0, 0.0],
            nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
            nodes_truenodeids=[1, 0, 0],
            nodes_falsenodeids=[2, 0, 0],
            class_treeids=[0, 0],
            class_nodeids=[1, 2],
            class_ids=[0, 1],
            class_weights=[1.0, 1.0],
            classlabels_int64s=[0, 1],
        )
    ]
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [None])
    return model(nodes, [None, 12], {"label": label, "probabilities": [None, 2]}, opset=15)


def quantised(activations: bool = True) -> bytes:
    """Return a network whose weights, and activations if asked, pass QuantizeLinear and DequantizeLinear."""
    tensors = {
        "scale": np.array(0.02, np.float32),
        "zero": np.array(0, np.int8),
        "w8": (numbers(4, 3, 3, 3) * 50).astype(np.int8),
        "b": numbers(4),
        "v": numbers(4, K),
    }
    nodes = [node("DequantizeLinear", ["w8", "scale", "zero"], ["w"])]
    source = "x"
    if activations:
        nodes += [
            node("QuantizeLinear", ["x", "scale", "zero"], ["x8"]),
            node("DequantizeLinear", ["x8", "scale", "zero"], ["xf"]),
        ]
        source = "xf"
    nodes += [
        node("Conv", [source, "w", "b"], ["maps"]),
        node("Relu", ["maps"], ["active"]),
        node("GlobalAveragePool", ["active"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("MatMul", ["flat", "v"], ["logits"]),
    ]
    return model(nodes, ["n", 3, 8, 8], {"logits": ["n", K]}, tensors)


def quantised_operators() -> bytes:
    """Return a dynamically quantised layer: DynamicQuantizeLinear and MatMulInteger."""
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["x8", "x_scale", "x_zero"]),
        node("MatMulInteger", ["x8", "w8", "x_zero"], ["product"]),
        node("Cast", ["product"], ["floats"], to=TensorProto.FLOAT),
        node("Mul", ["floats", "x_scale"], ["scaled"]),
        node("Mul", ["scaled", "w_scale"], ["logits"]),
    ]
    tensors = {"w8": (numbers(12, K) * 50).astype(np.int8), "w_scale": np.array(0.02, np.float32)}
    return model(nodes, ["n", 12], {"logits": ["n", K]}, tensors)


def layers(opset: int, kind: int = TensorProto.FLOAT, batch: int | str = "n") -> bytes:
    """Return convolution, pooling and a linear layer, whose meaning no operator set changed."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    tensors = {
        "fc.weight": numbers(K, 4 * 16),
        "fc.bias": numbers(K),
        "conv.weight": numbers(4, 3, 3, 3),
        "conv.bias": numbers(4),
    }
    nodes = [
        node("Conv", ["x", "conv.weight", "conv.bias"], ["maps"], pads=[1, 1, 1, 1]),
        node("LeakyRelu", ["maps"], ["active"], alpha=0.1),
        node("MaxPool", ["active"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["pooled"], ["flat"]),
        node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], transB=1),
    ]
    cast = {name: values.astype(dtype) for name, values in tensors.items()}
    return model(nodes, [batch, 3, 8, 8], {"logits": [batch, K]}, cast, opset=opset, kind=kind)


def insisting() -> bytes:
    """Return a graph that cannot take another batch than two: the batch enters its shapes in disguise."""
    nodes = [
        node("Transpose", ["x"], ["turned"], perm=[1, 0]),
        node("Reshape", ["turned", "shape"], ["pairs"]),
        node("Transpose", ["pairs"], ["back"], perm=[2, 0, 1]),
        node("Reshape", ["back", "flat"], ["again"]),
        node("Gemm", ["again", "w", "b"], ["logits"], transB=1),
    ]
    tensors = {"shape": whole(6, 2, 2), "flat": whole(-1, 12), "w": numbers(K, 12), "b": numbers(K)}
    return model(nodes, [2, 12], {"logits": [2, K]}, tensors)


def branching() -> bytes:
    """Return a graph that chooses between two layers by the number of values in an item: If."""

    def branch(name: str) -> onnx.GraphProto:
        return helper.make_graph(
            [node("MatMul", ["x", name], [f"{name}_scores"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_scores", TensorProto.FLOAT, ["n", K])],
        )

    nodes = [
        node("Shape", ["x"], ["size"], start=1),
        node("Squeeze", ["size"], ["values"]),
        node("Greater", ["values", "few"], ["many"]),
        node("If", ["many"], ["logits"], then_branch=branch("a"), else_branch=branch("b")),
    ]
    tensors = {"few": np.array(4, np.int64), "a": numbers(12, K), "b": numbers(12, K, seed=1)}
    return model(nodes, ["n", 12], {"logits": ["n", K]}, tensors)


def two_heads() -> bytes:
    """Return logits and probabilities of one network, and its features: the name must tell."""
    nodes = [
        node("Gemm", ["x", "w", "b"], ["features"], transB=1),
        node("Relu", ["features"], ["active"]),
        node("MatMul", ["active", "v"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    tensors = {"w": numbers(7, 12), "b": numbers(7), "v": numbers(7, K)}
    gives = {"features": ["n", 7], "logits": ["n", K], "probabilities": ["n", K]}
    return model(nodes, ["n", 12], gives, tensors)


def endless(matrix: np.ndarray, bias: np.ndarray, beyond: int = 0) -> bytes:
    """Return a linear classifier of flattened images that goes round a Loop 2^62 times, in under 1 kB.

    It does so for batches of more than `beyond` items, and answers smaller ones at once.
    """
    body = helper.make_graph(
        [node("Identity", ["going"], ["goes"]), node("Neg", ["scores_in"], ["scores_out"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("scores_in", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("scores_out", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        node("Flatten", ["x"], ["flat"]),
        node("Gemm", ["flat", "matrix", "bias"], ["linear"]),
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "first"], ["batch"]),
        node("Greater", ["batch", "beyond"], ["large"]),
        node("Where", ["large", "endless", "none"], ["turns"]),
        node("Loop", ["turns", "true", "linear"], ["logits"], body=body),
    ]
    tensors = {
        "matrix": matrix.astype(np.float32),
        "bias": bias.astype(np.float32),
        "first": np.array(0, np.int64),
        "beyond": np.array(beyond, np.int64),
        "endless": np.array(2**62, np.int64),
        "none": np.array(0, np.int64),
        "true": np.array(True),
    }
    return model(nodes, ["n", 1, 2, 3], {"logits": ["n", matrix.shape[1]]}, tensors)


def boundless() -> bytes:
    """Return a classifier of under 1 kB that adds up a constant of 2^38 numbers (1 TiB) for each answer."""
    zero = helper.make_tensor("v", TensorProto.FLOAT, [1], [0])
    nodes = [
        node("ConstantOfShape", ["count"], ["many"], value=zero),
        node("ReduceSum", ["many"], ["sum"], keepdims=0),
        node("Flatten", ["x"], ["flat"]),
        node("Add", ["flat", "sum"], ["logits"]),
    ]
    return model(nodes, ["n", 1, 2, 3], {"logits": ["n", 6]}, {"count": whole(2**38)})

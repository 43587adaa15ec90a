"""An ONNX file as bytes: what it declares, and what is refused before anything runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from defuse_engine.errors import InvalidModel, Reason

FLOAT_TYPES: dict[int, str] = {
    int(onnx.TensorProto.FLOAT): "float32",
    int(onnx.TensorProto.FLOAT16): "float16",
    int(onnx.TensorProto.DOUBLE): "float64",
}


@dataclass(frozen=True)
class TensorSpec:
    """A declared input or output; a dynamic dimension is -1."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object of `result.json`."""
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Signature:
    """What an ONNX file takes and gives."""

    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    opset: int

    @property
    def batch_size(self) -> int:
        """The batch that the file demands; -1 where any is taken."""
        return self.input.shape[0]


def parse(model_bytes: bytes, what: str = "the model") -> onnx.ModelProto:
    """Read an ONNX file that is whole by itself.

    Raises MODEL_NOT_ONNX for other files and truncated ones, MODEL_EXTERNAL_DATA where weights lie elsewhere.
    """
    try:
        model = onnx.load_model_from_string(model_bytes)
    except DecodeError as error:
        raise InvalidModel(
            Reason.MODEL_NOT_ONNX,
            f"{what} is not an ONNX file, or a truncated one ({len(model_bytes)} bytes): {error}",
        ) from None
    if not model.graph.node or not model.opset_import:
        raise InvalidModel(
            Reason.MODEL_NOT_ONNX, f"{what} is not an ONNX file: it holds no graph ({len(model_bytes)} bytes)"
        )
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise InvalidModel(
                Reason.MODEL_EXTERNAL_DATA,
                f"{what} keeps tensor {tensor.name!r} in another file; export it as one file "
                "(onnx.save with save_as_external_data=False)",
            )
    try:
        onnx.checker.check_model(model_bytes)
    except (onnx.checker.ValidationError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise InvalidModel(Reason.MODEL_NOT_ONNX, f"{what} is not a valid ONNX graph: {first_line}") from None
    return model


def read_signature(model_bytes: bytes, what: str = "the model") -> Signature:
    """Read what the file declares; beside the errors of `parse` raises MODEL_SIGNATURE.

    A model takes exactly one input, of floats; outputs of other types than floats are passed over.
    """
    model = parse(model_bytes, what)
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initializers]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise InvalidModel(
            Reason.MODEL_SIGNATURE, f"{what} must take exactly one input, it takes {len(inputs)}: {names}"
        )
    if not model.graph.output:
        raise InvalidModel(Reason.MODEL_SIGNATURE, f"{what} must have an output, it has none")
    # Some exporters add an output of integer labels beside the scores: it is passed over.
    scores = [value for value in model.graph.output if value.type.tensor_type.elem_type in FLOAT_TYPES]
    outputs = tuple(_spec(value, what) for value in scores or model.graph.output)
    return Signature(_spec(inputs[0], what), outputs, _opset(model))


def _spec(value: onnx.ValueInfoProto, what: str) -> TensorSpec:
    tensor = value.type.tensor_type
    if tensor.elem_type not in FLOAT_TYPES:
        kinds = {int(number): name.lower() for name, number in onnx.TensorProto.DataType.items()}
        kind = kinds.get(tensor.elem_type, "no tensor")
        raise InvalidModel(
            Reason.MODEL_SIGNATURE,
            f"{what}: {value.name!r} must be a tensor of float32, float16 or float64, it is {kind}",
        )
    if not tensor.HasField("shape") or not tensor.shape.dim:
        raise InvalidModel(
            Reason.MODEL_SIGNATURE,
            f"{what}: {value.name!r} must declare a shape whose first axis is the batch",
        )
    shape = tuple(dim.dim_value if dim.dim_value > 0 else -1 for dim in tensor.shape.dim)
    return TensorSpec(value.name, FLOAT_TYPES[tensor.elem_type], shape)


def _opset(model: onnx.ModelProto) -> int:
    versions = {opset.domain: opset.version for opset in model.opset_import}
    return versions.get("", versions.get("ai.onnx", 0))


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _graph_tensors(graph)

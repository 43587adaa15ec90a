"""An ONNX file as bytes: its declarations, and the checks before anything runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx
from google.protobuf.message import DecodeError, Message

from defuse_engine.errors import InvalidModel, InvalidSignature, Reason
from defuse_engine.models.onnx_graph.runnable_form import has_zipmap, opset_version, without_zipmap
from defuse_engine.types import Described

FLOAT_TYPES: dict[int, str] = {
    int(onnx.TensorProto.FLOAT): "float32",
    int(onnx.TensorProto.FLOAT16): "float16",
    int(onnx.TensorProto.DOUBLE): "float64",
}

INPUT_TYPES: dict[int, str] = {**FLOAT_TYPES, int(onnx.TensorProto.UINT8): "uint8"}
_ONLY_LABELS = (
    ". A model that gives labels alone cannot be audited: export its scores (logits or probabilities) too"
)


@dataclass(frozen=True)
class TensorSpec(Described):
    """A declared input or output; a dynamic dimension is -1."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """The input and the outputs of an ONNX file."""

    input: TensorSpec
    outputs: tuple[TensorSpec, ...]
    opset: int

    @property
    def batch_size(self) -> int:
        """The batch size that the file demands; -1 if it takes any."""
        return self.input.shape[0]


def parse(model_bytes: bytes, what: str = "the model") -> onnx.ModelProto:
    """Read an ONNX file that holds its own weights.

    Raises MODEL_NOT_ONNX for other and truncated files, MODEL_EXTERNAL_DATA if weights lie in another file.
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
                f"{what} keeps tensor {tensor.name!r} in another file. Export it as one file "
                "(onnx.save with save_as_external_data=False)",
            )
    try:
        onnx.checker.check_model(model_bytes)
    except (onnx.checker.ValidationError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise InvalidModel(Reason.MODEL_NOT_ONNX, f"{what} is not a valid ONNX graph: {first_line}") from None
    return model


def read_signature(model: onnx.ModelProto, what: str = "the model") -> Signature:
    """Read what a parsed file declares; raises MODEL_SIGNATURE.

    A model takes exactly one input, of floats or uint8. Outputs of other types than floats are ignored.
    """
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initializers]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise InvalidSignature(f"{what} must take exactly one input, it takes {len(inputs)}: {names}")
    source = _spec(inputs[0], what, INPUT_TYPES)
    return Signature(source, output_specs(model, what), opset_version(model))


def output_specs(model: onnx.ModelProto, what: str = "the model") -> tuple[TensorSpec, ...]:
    """Return all outputs of floats; raises MODEL_SIGNATURE if there is none.

    If the file declares no shape of an output, shape inference finds it.
    """
    if has_zipmap(model):
        model = without_zipmap(model)
    if not all(value.type.tensor_type.HasField("shape") for value in model.graph.output):
        model = onnx.shape_inference.infer_shapes(model)
    if not model.graph.output:
        raise InvalidSignature(f"{what} must have an output, it has none")
    # Some exporters add an output of integer labels beside the scores: it is ignored.
    scores = [value for value in model.graph.output if value.type.tensor_type.elem_type in FLOAT_TYPES]
    return tuple(_spec(value, what, FLOAT_TYPES) for value in scores or model.graph.output)


def scores_output(
    model: onnx.ModelProto, name: str | None = None, what: str = "the classifier", ranks: int | None = 2
) -> str:
    """Find the output with the scores; raises MODEL_SIGNATURE if `name` is no output, or several fit.

    `ranks` is the number of axes that scores have; None takes any.
    """
    return choose_output(output_specs(model, what), name, what, ranks).name


def choose_output(
    outputs: tuple[TensorSpec, ...], name: str | None, what: str, ranks: int | None = 2
) -> TensorSpec:
    """Choose the output called `name`, or the only one that can hold scores (batch, K > 1)."""
    listed = ", ".join(f"{output.name!r} {output.shape}" for output in outputs)
    if name is not None:
        for output in outputs:
            if output.name == name:
                return output
        raise InvalidSignature(f"{what} has no output {name!r} of floating-point numbers. It has {listed}")
    fitting = [output for output in outputs if len(output.shape) == 2 and output.shape[1] != 1]
    if len(fitting) > 1 or (ranks is None and not fitting and len(outputs) > 1):
        raise InvalidSignature(
            f"{what} has several outputs that could hold the scores: {listed}. Say which one: output_name "
            'at registration, --output of `defuse push classifier`, "output" in job.json',
            {"candidates": ", ".join(output.name for output in fitting or outputs)},
        )
    return fitting[0] if fitting else next(iter(outputs))


def _spec(value: onnx.ValueInfoProto, what: str, types: dict[int, str]) -> TensorSpec:
    tensor = value.type.tensor_type
    if tensor.elem_type not in types:
        kinds = {int(number): name.lower() for name, number in onnx.TensorProto.DataType.items()}
        kind = kinds.get(tensor.elem_type, "no tensor") if tensor.elem_type else "no tensor"
        raise InvalidSignature(
            f"{what}: {value.name!r} must be a tensor of {', '.join(types.values())}; it is {kind}"
            + (_ONLY_LABELS if kind.startswith("int") and types is not INPUT_TYPES else "")
        )
    if not tensor.HasField("shape") or not tensor.shape.dim:
        raise InvalidSignature(f"{what}: {value.name!r} must declare a shape whose first axis is the batch")
    return TensorSpec(value.name, types[tensor.elem_type], tensor_shape(value))


def tensor_shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Return the declared sizes of a tensor; -1 for an open size."""
    return tuple(dim.dim_value if dim.dim_value > 0 else -1 for dim in value.type.tensor_type.shape.dim)


def _tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Give every tensor in a message: in graphs, nodes' attributes, sparse tensors, functions."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in (value,) if isinstance(value, Message) else value:
                yield from _tensors(part)

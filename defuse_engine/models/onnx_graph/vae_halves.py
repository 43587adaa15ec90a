"""The halves of a VAE that came as one file, image -> (reconstruction, mu, ...): encoder and decoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import onnx
import onnx.inliner
from onnx import helper

from defuse_engine.errors import InvalidSignature
from defuse_engine.models.onnx_graph.graph_editing import all_inputs, graph_input, keep_only
from defuse_engine.models.onnx_graph.graph_editing import replace as replace_field
from defuse_engine.models.onnx_graph.onnx_file import FLOAT_TYPES, TensorSpec, parse, tensor_shape
from defuse_engine.models.onnx_graph.shapes_from_code import batch_alone, shapes_from_code
from defuse_engine.models.onnx_graph.vae_tensors import (
    HOW_TO_NAME,
    find_image,
    find_mu,
    find_spread,
    named,
    same_shape,
)
from defuse_engine.types import VaeTensors

_WHAT = "the VAE's file"


@dataclass(frozen=True)
class VaeHalves:
    """Two ONNX files, and the names of their tensors; `spread_kind` may still be `auto`."""

    encoder: bytes
    decoder: bytes
    tensors: VaeTensors


def cut(model_bytes: bytes, tensors: VaeTensors) -> VaeHalves:
    """Cut one file into encoder and decoder, neither of which draws random numbers at the cut.

    The encoder gives mu (and logvar or sigma). The decoder starts from the code: the tensor called
    `tensors.code`, or the first one between mu and the image that decides the image alone, which is mu itself
    or mu with noise added. Raises what `parse` does, and MODEL_SIGNATURE if a tensor is not found.
    """
    model = parse(model_bytes, _WHAT)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    specs = _specs(model)
    outputs = tuple(specs[value.name] for value in model.graph.output if value.name in specs)
    source = graph_input(model.graph).name
    image = _image(outputs, specs, tensors, specs.get(source))
    codes = tuple(output for output in outputs if output != image)
    if not codes and not tensors.mu:
        raise InvalidSignature(
            f"{_WHAT} gives {image.name!r} alone: a file with both halves must give mu (batch, D) too; "
            f"{HOW_TO_NAME}"
        )
    inner = tuple(specs.values())
    mu = find_mu(inner if tensors.mu else codes, tensors.mu, _WHAT)
    spread, kind = find_spread(inner if tensors.spread else codes, mu, tensors, _WHAT)
    code = _code(model.graph, mu, image.name, tensors.code, specs)
    encoder = _part(model, source, [mu, *([spread] if spread else [])])
    shapes_from_code(model.graph, code, specs)
    decoder = _part(model, code, [image], TensorSpec(code, mu.dtype, mu.shape))
    found = replace(
        tensors,
        mu=mu.name,
        spread=spread.name if spread else None,
        spread_kind=kind,
        code=code,
        image=image.name,
    )
    return VaeHalves(encoder.SerializeToString(), decoder.SerializeToString(), found)


def _image(
    outputs: tuple[TensorSpec, ...],
    specs: dict[str, TensorSpec],
    tensors: VaeTensors,
    source: TensorSpec | None,
) -> TensorSpec:
    if tensors.image:
        return named(specs.values(), tensors.image, _WHAT)
    # The image has the input's shape, and mu has not. So it is known without a usual name.
    alike = [output for output in outputs if source and output.shape[1:] == source.shape[1:]]
    if len(alike) == 1:
        return alike[0]
    return find_image(outputs, None, _WHAT)


def _code(
    graph: onnx.GraphProto, mu: TensorSpec, image: str, name: str | None, specs: dict[str, TensorSpec]
) -> str:
    candidates = [name] if name else list(_candidates(graph, mu, specs))
    for candidate in candidates:
        alike = candidate in specs and same_shape(specs[candidate], mu)
        if alike and _decides(graph, candidate, image, specs):
            return candidate
    if name:
        problem = (
            f"tensor {name!r} is none of mu's shape {mu.shape} from which {image!r} can be computed without "
            "the input image"
        )
    else:
        problem = f"no tensor of shape {mu.shape} on the way from {mu.name!r} to {image!r} decides the image"
    raise InvalidSignature(
        f"{_WHAT} has no code to start the decoding half from: {problem}; {HOW_TO_NAME}, or export two files"
    )


def _candidates(graph: onnx.GraphProto, mu: TensorSpec, specs: dict[str, TensorSpec]) -> Iterator[str]:
    """Give the tensors that depend on mu and have its last axis, in the graph's order."""
    dependent = {mu.name}
    yield mu.name
    for node in graph.node:
        if node.op_type not in ("Shape", "Size") and dependent.intersection(node.input):
            dependent.update(node.output)
            for name in node.output:
                shape = specs[name].shape if name in specs else ()
                if len(shape) == 2 and shape[1] in (mu.shape[1], -1):
                    yield name


def _decides(graph: onnx.GraphProto, code: str, image: str, specs: dict[str, TensorSpec]) -> bool:
    """Tell whether `image` needs `code`, and beside it no other input but for the batch size."""
    stored = {tensor.name for tensor in graph.initializer}
    open_inputs = {value.name for value in graph.input} - stored
    needed, used = {image}, False
    for node in reversed(graph.node):
        if code in node.output or batch_alone(node, specs):
            continue
        if needed.intersection(node.output):
            read = set(all_inputs(node))
            used = used or code in read
            needed |= read - {code}
    return used and not needed & open_inputs


def _part(
    model: onnx.ModelProto, source: str, outputs: list[TensorSpec], declared: TensorSpec | None = None
) -> onnx.ModelProto:
    part = onnx.ModelProto()
    part.CopyFrom(model)
    graph = part.graph
    if declared is not None:
        replace_field(graph.node, [node for node in graph.node if source not in node.output])
        graph.input.append(_value_info(declared))
    replace_field(graph.output, [_value_info(output) for output in outputs])
    keep_only(graph, {output.name for output in outputs})
    kept = {tensor.name for tensor in graph.initializer} | {source}
    replace_field(graph.input, [value for value in graph.input if value.name in kept])
    del graph.value_info[:]
    return part


def _value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    kind = next(number for number, name in FLOAT_TYPES.items() if name == spec.dtype)
    shape = [size if size > 0 else None if axis else "batch" for axis, size in enumerate(spec.shape)]
    return helper.make_tensor_value_info(spec.name, kind, shape)


def _specs(model: onnx.ModelProto) -> dict[str, TensorSpec]:
    """Return every float tensor of the graph whose number of axes is declared or can be inferred."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    specs: dict[str, TensorSpec] = {}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        if tensor.elem_type in FLOAT_TYPES and tensor.HasField("shape") and tensor.shape.dim:
            specs[value.name] = TensorSpec(value.name, FLOAT_TYPES[tensor.elem_type], tensor_shape(value))
    return specs

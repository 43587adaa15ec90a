"""The form of an ONNX file that the installed onnxruntime runs: the same function, never written back.

It changes what stands in the way: ZipMap (scikit-learn's converter turns scores into a sequence of
dictionaries), an IR version and an operator set newer than onnxruntime knows, and float64 that onnxruntime
has no kernel for.
"""

from __future__ import annotations

from functools import cache

import onnx
import onnx.version_converter
import onnxruntime as ort
from onnx import TensorProto, helper

from defuse_engine.job_folder.watchdog import asked
from defuse_engine.models.onnx_graph.graph_editing import as_float32, replace

_ML = "ai.onnx.ml"
_FLOAT, _DOUBLE = int(TensorProto.FLOAT), int(TensorProto.DOUBLE)


def runnable_form(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` itself if onnxruntime takes it as it is, else a changed copy."""
    newest_ir, newest_opset = _newest()
    opset = opset_version(model)
    known = model.ir_version <= newest_ir and opset <= newest_opset
    if known and not has_zipmap(model) and not _computes_in(model, TensorProto.DOUBLE):
        return model
    copy = without_zipmap(model)
    copy.ir_version = min(copy.ir_version, newest_ir)
    if opset > newest_opset:
        copy = _with_opset(copy, newest_opset)
    if _computes_in(copy, TensorProto.DOUBLE) and not _opens(copy):
        copy = _in_float32(copy)
    return copy


def has_zipmap(model: onnx.ModelProto) -> bool:
    """Tell whether the graph gives scores as dictionaries."""
    return any(node.op_type == "ZipMap" and node.domain == _ML for node in model.graph.node)


def without_zipmap(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that gives the scores (n, K) which ZipMap took, under the names of its outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    columns: dict[str, int] = {}
    nodes: list[onnx.NodeProto] = []
    for node in copy.graph.node:
        if node.op_type == "ZipMap" and node.domain == _ML:
            columns[node.output[0]] = max(len(a.ints) or len(a.strings) for a in node.attribute)
            node = helper.make_node("Identity", node.input, node.output, name=node.name)
        nodes.append(node)
    replace(copy.graph.node, nodes)
    replace(
        copy.graph.output,
        [
            helper.make_tensor_value_info(value.name, TensorProto.FLOAT, ["batch", columns[value.name]])
            if value.name in columns
            else value
            for value in copy.graph.output
        ],
    )
    return copy


def opset_version(model: onnx.ModelProto) -> int:
    """Return the version of the operator set `ai.onnx`; 0 if the file uses none."""
    versions = {opset.domain: opset.version for opset in model.opset_import}
    return versions.get("", versions.get("ai.onnx", 0))


def _with_opset(model: onnx.ModelProto, version: int) -> onnx.ModelProto:
    """Lower the operator set, by its number alone if no operation of the graph differs."""
    if all(_unchanged_since(node, opset_version(model), version) for node in model.graph.node):
        for opset in model.opset_import:
            if opset.domain in ("", "ai.onnx"):
                opset.version = version
        return model
    try:
        return onnx.version_converter.convert_version(model, version)
    except Exception:  # the converter raises what it likes; onnxruntime then says what it lacks
        return model


def _unchanged_since(node: onnx.NodeProto, newer: int, older: int) -> bool:
    if node.domain not in ("", "ai.onnx"):
        return True
    if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
        return False
    return onnx.defs.get_schema(node.op_type, newer, "").since_version <= older


def _computes_in(model: onnx.ModelProto, kind: int) -> bool:
    values = [*model.graph.input, *model.graph.output]
    return any(value.type.tensor_type.elem_type == kind for value in values)


def _in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute in float32; inputs and outputs stay float64, and the signature with them."""
    before = onnx.ModelProto()
    before.CopyFrom(model)
    as_float32(model.graph, TensorProto.DOUBLE)
    stored = {tensor.name for tensor in model.graph.initializer}
    names: dict[str, str] = {}
    casts: list[onnx.NodeProto] = []
    for value in before.graph.input:
        if value.name not in stored and value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            names[value.name] = f"{value.name}/float32"
            casts.append(helper.make_node("Cast", [value.name], [names[value.name]], to=_FLOAT))
    after: list[onnx.NodeProto] = []
    for value in before.graph.output:
        if value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            names[value.name] = f"{value.name}/float32"
            after.append(helper.make_node("Cast", [names[value.name]], [value.name], to=_DOUBLE))
    for node in model.graph.node:
        replace(node.input, [names.get(name, name) for name in node.input])
        replace(node.output, [names.get(name, name) for name in node.output])
    replace(model.graph.node, [*casts, *model.graph.node, *after])
    replace(model.graph.input, before.graph.input)
    replace(model.graph.output, before.graph.output)
    return model


@cache
def _newest() -> tuple[int, int]:
    """Try which IR version and operator set are the newest that the installed onnxruntime takes."""
    opset = next(v for v in range(onnx.defs.onnx_opset_version(), 6, -1) if _takes(3, v))
    return next(v for v in range(onnx.IR_VERSION, 2, -1) if _takes(v, opset)), opset


def _takes(ir_version: int, opset: int) -> bool:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    model = helper.make_model(
        helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", [x], [y]),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=ir_version,
    )
    return _opens(model)


def open_quietly(model: onnx.ModelProto) -> ort.InferenceSession:
    """Open a model on one core, without onnxruntime's messages."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    with asked("the model", 0):
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _opens(model: onnx.ModelProto) -> bool:
    try:
        open_quietly(model)
    except Exception:  # a refusal has a type of its own for each cause
        return False
    return True

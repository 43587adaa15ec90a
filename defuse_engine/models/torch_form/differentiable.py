"""An ONNX graph as a torch module: to search with its gradient, or to train it and write its weights back.

onnx2fx is young: it is used nowhere else, every module is compared with onnxruntime before it is handed out,
and only what the graph's structure calls a weight becomes a parameter (see `graph_weights`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx2fx
import torch
from onnx import TensorProto
from torch import Tensor, fx, nn

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.models.onnx_graph.graph_editing import graph_input
from defuse_engine.models.onnx_graph.onnx_file import parse, scores_output
from defuse_engine.models.onnx_graph.rebatching import any_batch
from defuse_engine.models.onnx_graph.reference_run import ReferenceRun
from defuse_engine.models.onnx_graph.stored_weights import store
from defuse_engine.models.torch_form.first_difference import first_difference
from defuse_engine.models.torch_form.gradient_trace import GradientLost, input_gradient, weight_gradients
from defuse_engine.models.torch_form.silu import silu
from defuse_engine.models.torch_form.torch_graph import TorchGraph, prepare

fx.wrap("silu")  # A graph has it as one operation.

_PARITY_TOLERANCE = 1e-3
"""Largest difference from onnxruntime, over the largest absolute output or 1, of a converted model."""
_FLOAT16_TOLERANCE = 3e-2
"""The same where the file computes in float16, whose rounding the module does not repeat."""


class DifferentiableModel(nn.Module):
    """One output of an ONNX graph in torch: model inputs (n, ...) to float32 outputs (n, ...).

    Its parameters are the trainable weights; everything else, BatchNorm's statistics too, is a buffer.
    """

    def __init__(
        self, graph_module: fx.GraphModule, output: str, weights: dict[str, str], input_dtype: torch.dtype
    ):
        super().__init__()
        self.graph_module = graph_module
        self.output = output
        """Name of the output in the ONNX graph."""
        self.weights = weights
        """Parameter name in `graph_module` to tensor name in the ONNX graph."""
        self.input_dtype = input_dtype
        self.fixed_batch_size: int | None = None
        """The batch size that the graph insists on, if it does."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs for `inputs` as the ONNX graph takes them (after preprocessing)."""
        inputs = inputs.to(self.input_dtype)
        size = self.fixed_batch_size
        if size is None:
            return self.graph_module(inputs).float()
        missing = -len(inputs) % size
        padded = torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])]) if missing else inputs
        outputs = [self.graph_module(part) for part in padded.split(size)]
        return torch.cat(outputs)[: len(inputs)].float()


def to_torch(model_bytes: bytes, output: str | None = None) -> DifferentiableModel:
    """Converts an ONNX classifier to be trained; on random inputs its scores equal onnxruntime's.

    `output` names the scores; None takes the only output that can hold them. Raises what `onnx_file.parse`
    and `scores_output` do, and MODEL_NOT_DIFFERENTIABLE naming the operation in the way.
    """
    model = parse(model_bytes, "the classifier")
    problem = "the classifier cannot be fine-tuned"
    prepared = _prepared(model, scores_output(model, output))
    blocking = tuple(dict.fromkeys([*prepared.unsupported_operations, *prepared.weight_blockers]))
    if blocking:
        raise _not_differentiable(problem, blocking, "cannot be differentiated")
    if not prepared.weights:
        raise _not_differentiable(problem, _last_operation(prepared), "leads to no trainable weight")
    trial = ReferenceRun(model, prepared.output)
    inputs = trial.inputs()
    module = _convert(prepared, inputs, problem)
    try:
        frozen = weight_gradients(module.graph_module, list(module.weights), inputs.to(module.input_dtype))
    except GradientLost as lost:
        raise _without_gradient(problem, lost, prepared, inputs) from lost
    for name in frozen:
        _freeze(module, name)
    _choose_batching(module, trial.fixed_batch_size, inputs)
    _check_parity(module, trial, inputs, prepared, problem, _tolerance(model))
    return module


def input_differentiable(model_bytes: bytes, output: str | None = None) -> DifferentiableModel:
    """Converts any ONNX model of one input so that a gradient reaches that input; no weight is trainable.

    `output` names the output, of any rank; None takes the only float output, or of several the one that can
    hold class scores. An input of integers is taken as float32. Works on whatever device it is moved to.
    Raises what `onnx_file.parse` does, MODEL_SIGNATURE for an unknown output, and MODEL_NOT_DIFFERENTIABLE
    naming the operation that has no torch form or stops the gradient.
    """
    model = parse(model_bytes)
    problem = "the model has no gradient with respect to its input"
    prepared = _prepared(model, scores_output(model, output, ranks=None))
    blocking = tuple(dict.fromkeys([*prepared.unsupported_operations, *prepared.input_blockers]))
    if blocking:
        raise _not_differentiable(problem, blocking, "cannot be differentiated")
    trial = ReferenceRun(model, prepared.output)
    inputs = trial.inputs()
    module = _convert(prepared, inputs, problem)
    for name in list(module.weights):
        _freeze(module, name)
    try:
        input_gradient(module.graph_module, inputs.to(module.input_dtype))
    except GradientLost as lost:
        raise _without_gradient(problem, lost, prepared, inputs) from lost
    _choose_batching(module, trial.fixed_batch_size, inputs)
    _check_parity(module, trial, inputs, prepared, problem, _tolerance(model))
    return module


def undifferentiable_operations(model_bytes: bytes, output: str | None = None) -> list[str]:
    """Names of the operations that keep the classifier from being corrected; empty where nothing does."""
    try:
        to_torch(model_bytes, output)
    except InvalidModel as error:
        if error.reason is not Reason.MODEL_NOT_DIFFERENTIABLE:
            raise
        return str(error.figures["operations"]).split(", ")
    return []


def write_back(model_bytes: bytes, module: DifferentiableModel) -> bytes:
    """The original file with the module's weights: topology, names, opset and metadata stay as they are."""
    model = parse(model_bytes, "the classifier")
    parameters = {
        name: module.graph_module.get_parameter(parameter).detach().cpu().numpy()
        for parameter, name in module.weights.items()
    }
    store(model, parameters)
    return model.SerializeToString()


def parity_max_abs_error(model_bytes: bytes, module: DifferentiableModel, inputs: Tensor) -> float:
    """Largest absolute difference between the file's outputs in onnxruntime and the module's."""
    return _difference(module, ReferenceRun(parse(model_bytes, "the classifier"), module.output), inputs)


def _prepared(model: onnx.ModelProto, output: str) -> TorchGraph:
    return prepare(any_batch(model, (output,)) or model, output)


def _difference(module: DifferentiableModel, trial: ReferenceRun, inputs: Tensor) -> float:
    with torch.no_grad():
        ours = module(inputs).cpu().numpy()
    theirs = trial.run(inputs)
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max(initial=0.0))


def _check_parity(
    module: DifferentiableModel,
    trial: ReferenceRun,
    inputs: Tensor,
    prepared: TorchGraph,
    problem: str,
    tolerance: float,
) -> None:
    error = _difference(module, trial, inputs)
    with torch.no_grad():
        scale = max(1.0, float(module(inputs).abs().max()))
    if not error <= tolerance * scale:
        operation = first_difference(prepared.model, inputs.to(module.input_dtype), tolerance)
        raise _not_differentiable(problem, (operation,), f"differs in torch by {error:g} from onnxruntime")


def _tolerance(model: onnx.ModelProto) -> float:
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    kinds.add(graph_input(model.graph).type.tensor_type.elem_type)
    return _FLOAT16_TOLERANCE if TensorProto.FLOAT16 in kinds else _PARITY_TOLERANCE


def _convert(prepared: TorchGraph, inputs: Tensor, problem: str) -> DifferentiableModel:
    try:
        graph_module = onnx2fx.convert(prepared.model)
    except onnx2fx.UnsupportedOpError as error:
        raise _not_differentiable(problem, (error.op_type,), "is not supported") from error
    except Exception as error:  # onnx2fx lets KeyError, TypeError and the like through
        operation = first_difference(prepared.model, inputs, _PARITY_TOLERANCE)
        raise _not_differentiable(problem, (operation,), f"could not be converted: {error}") from error
    _fuse_silu(graph_module)
    for name in prepared.weights:
        weight = graph_module.get_buffer(name).clone()
        delattr(graph_module, name)
        graph_module.register_parameter(name, nn.Parameter(weight))
    element = prepared.input.type.tensor_type.elem_type
    dtype = torch.from_numpy(np.zeros(1, onnx.helper.tensor_dtype_to_np_dtype(element))).dtype
    return DifferentiableModel(graph_module, prepared.output, dict(prepared.weights), dtype)


def _fused(x: Any) -> Any:
    return silu(x)


def _fuse_silu(graph_module: fx.GraphModule) -> None:
    """Files write SiLU as x * sigmoid(x); one operation takes half the time, and its gradient too."""

    def left(x: Any) -> Any:
        return torch.mul(x, torch.sigmoid(x))

    def right(x: Any) -> Any:
        return torch.mul(torch.sigmoid(x), x)

    for pattern in (left, right):
        fx.replace_pattern(graph_module, pattern, _fused)


def _freeze(module: DifferentiableModel, name: str) -> None:
    weight = module.graph_module.get_parameter(name).detach()
    delattr(module.graph_module, name)
    module.graph_module.register_buffer(name, weight)
    del module.weights[name]


def _choose_batching(module: DifferentiableModel, declared: int | None, inputs: Tensor) -> None:
    """Runs a graph of a fixed batch size in larger batches, where that provably changes nothing."""
    if declared is None:
        return
    module.fixed_batch_size = declared
    doubled = torch.cat([inputs, inputs.flip(-1)])
    with torch.no_grad():
        one_by_one = module(doubled)
        try:
            # The interpreter raises what the module would print to standard error as well.
            at_once = fx.Interpreter(module.graph_module).run(doubled.to(module.input_dtype)).float()
        except (RuntimeError, ValueError, TypeError):
            return
    if at_once.shape == one_by_one.shape and torch.allclose(at_once, one_by_one, atol=1e-5):
        module.fixed_batch_size = None


def _last_operation(prepared: TorchGraph) -> tuple[str, ...]:
    return (prepared.model.graph.node[-1].op_type if prepared.model.graph.node else "Identity",)


def _without_gradient(problem: str, lost: GradientLost, prepared: TorchGraph, inputs: Tensor) -> InvalidModel:
    operations = lost.operations
    if lost.failed:
        operations = (first_difference(prepared.model, inputs, _PARITY_TOLERANCE),)
    return _not_differentiable(problem, operations, lost.problem)


def _not_differentiable(problem: str, operations: tuple[str, ...], cause: str) -> InvalidModel:
    names = ", ".join(dict.fromkeys(operations))
    return InvalidModel(
        Reason.MODEL_NOT_DIFFERENTIABLE,
        f"{problem}: operation {names} {cause}; export it without",
        {"operations": names},
    )

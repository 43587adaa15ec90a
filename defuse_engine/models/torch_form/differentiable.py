"""An ONNX graph as a torch module, to search with its gradient, or to train it and write its weights back.

onnx2fx is young, so it is used here alone, and every module is compared with onnxruntime before it is
returned. Only what the graph's structure calls a weight becomes a parameter (`graph_weights`).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import onnx
import onnx2fx
import torch
from onnx import TensorProto
from torch import Tensor, fx, nn

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.job_folder.watchdog import asked
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
"""The same for a file that computes in float16, whose rounding the module does not repeat."""


class DifferentiableModel(nn.Module):
    """One output of an ONNX graph in torch: model inputs (n, ...) to float32 outputs (n, ...).

    Its parameters are the trainable weights. Everything else, BatchNorm's statistics included, is a buffer.
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
        """The batch size that the graph demands, if any."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs for `inputs` as the ONNX graph takes them (after preprocessing)."""
        inputs = inputs.to(self.input_dtype)
        size = self.fixed_batch_size
        if size is None:
            return self._answers(inputs).float()
        missing = -len(inputs) % size
        padded = torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])]) if missing else inputs
        outputs = [self._answers(part) for part in padded.split(size)]
        return torch.cat(outputs)[: len(inputs)].float()

    def _answers(self, batch: Tensor) -> Tensor:
        with asked("the model", len(batch)):
            return self.graph_module(batch)


def to_torch(model_bytes: bytes, output: str | None = None) -> DifferentiableModel:
    """Convert an ONNX classifier to be trained; on random inputs its scores equal onnxruntime's.

    `output` names the scores; None takes the only output that can hold them. Raises what `onnx_file.parse`
    and `scores_output` do, and MODEL_NOT_DIFFERENTIABLE with the operation in the way.
    """
    model = parse(model_bytes, "the classifier")
    prepared = _prepared(model, scores_output(model, output))
    conversion = _Conversion(model, prepared, "the classifier cannot be fine-tuned")
    conversion.require_none(prepared.weight_blockers)
    if not prepared.weights:
        nodes = prepared.model.graph.node
        last = nodes[-1].op_type if nodes else "Identity"
        raise conversion.not_differentiable((last,), "leads to no trainable weight")
    module = conversion.convert()
    inputs = conversion.inputs.to(module.input_dtype)
    try:
        frozen = weight_gradients(module.graph_module, list(module.weights), inputs)
    except GradientLost as lost:
        raise conversion.without_gradient(lost) from lost
    for name in frozen:
        _freeze(module, name)
    return conversion.checked(module)


def input_differentiable(model_bytes: bytes, output: str | None = None) -> DifferentiableModel:
    """Convert any ONNX model of one input such that a gradient reaches that input; no weight is trainable.

    `output` names the output, of any rank; None takes the only float output, or of several the one that can
    hold class scores. An input of integers is taken as float32. The module works on any device. Raises what
    `onnx_file.parse` does, MODEL_SIGNATURE for an unknown output, and MODEL_NOT_DIFFERENTIABLE with the
    operation that has no torch form or stops the gradient.
    """
    model = parse(model_bytes)
    prepared = _prepared(model, scores_output(model, output, ranks=None))
    conversion = _Conversion(model, prepared, "the model has no gradient with respect to its input")
    conversion.require_none(prepared.input_blockers)
    module = conversion.convert()
    for name in list(module.weights):
        _freeze(module, name)
    try:
        input_gradient(module.graph_module, conversion.inputs.to(module.input_dtype))
    except GradientLost as lost:
        raise conversion.without_gradient(lost) from lost
    return conversion.checked(module)


def undifferentiable_operations(model_bytes: bytes, output: str | None = None) -> list[str]:
    """Name the operations that keep the classifier from being corrected; empty if nothing does."""
    try:
        to_torch(model_bytes, output)
    except InvalidModel as error:
        if error.reason is not Reason.MODEL_NOT_DIFFERENTIABLE:
            raise
        return str(error.figures["operations"]).split(", ")
    return []


def write_back(model_bytes: bytes, module: DifferentiableModel) -> bytes:
    """Return the file with the module's weights; topology, names, opset and metadata stay as they are."""
    model = parse(model_bytes, "the classifier")
    parameters = {
        name: module.graph_module.get_parameter(parameter).detach().cpu().numpy()
        for parameter, name in module.weights.items()
    }
    store(model, parameters)
    return model.SerializeToString()


def parity_max_abs_error(model_bytes: bytes, module: DifferentiableModel, inputs: Tensor) -> float:
    """Return the largest absolute difference between the file's outputs in onnxruntime and the module's."""
    return _difference(module, ReferenceRun(parse(model_bytes, "the classifier"), module.output), inputs)


def _prepared(model: onnx.ModelProto, output: str) -> TorchGraph:
    return prepare(any_batch(model, (output,)) or model, output)


def _difference(module: DifferentiableModel, reference: ReferenceRun, inputs: Tensor) -> float:
    with torch.no_grad():
        ours = module(inputs).cpu().numpy()
    theirs = reference.run(inputs)
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max(initial=0.0))


def _tolerance(model: onnx.ModelProto) -> float:
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    kinds.add(graph_input(model.graph).type.tensor_type.elem_type)
    return _FLOAT16_TOLERANCE if TensorProto.FLOAT16 in kinds else _PARITY_TOLERANCE


class _Conversion:
    """The conversion of one file, and the errors that say why it fails."""

    def __init__(self, model: onnx.ModelProto, prepared: TorchGraph, problem: str):
        """Convert `prepared`, which was made of `model`; `problem` begins each error."""
        self._model, self._prepared, self._problem = model, prepared, problem

    @cached_property
    def _reference(self) -> ReferenceRun:
        return ReferenceRun(self._model, self._prepared.output)

    @cached_property
    def inputs(self) -> Tensor:
        """Random inputs that the file runs on."""
        return self._reference.inputs()

    def require_none(self, blockers: tuple[str, ...]) -> None:
        """Raise MODEL_NOT_DIFFERENTIABLE if operations are unsupported or block the gradient."""
        blocking = (*self._prepared.unsupported_operations, *blockers)
        if blocking:
            raise self.not_differentiable(blocking, "cannot be differentiated")

    def convert(self) -> DifferentiableModel:
        """Return the module with all its weights as parameters."""
        prepared, inputs = self._prepared, self.inputs
        try:
            graph_module = onnx2fx.convert(prepared.model)
        except onnx2fx.UnsupportedOpError as error:
            raise self.not_differentiable((error.op_type,), "is not supported") from error
        except Exception as error:  # onnx2fx lets KeyError, TypeError and the like through
            operation = first_difference(prepared.model, inputs, _PARITY_TOLERANCE)
            raise self.not_differentiable((operation,), f"could not be converted: {error}") from error
        _fuse_silu(graph_module)
        # Convolutions take the layout of their weights: on a CPU this one takes three quarters of the time.
        graph_module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        for name in prepared.weights:
            weight = graph_module.get_buffer(name).clone()
            delattr(graph_module, name)
            graph_module.register_parameter(name, nn.Parameter(weight))
        element = prepared.input.type.tensor_type.elem_type
        dtype = torch.from_numpy(np.zeros(1, onnx.helper.tensor_dtype_to_np_dtype(element))).dtype
        return DifferentiableModel(graph_module, prepared.output, dict(prepared.weights), dtype)

    def checked(self, module: DifferentiableModel) -> DifferentiableModel:
        """Choose the module's batching, and compare its outputs with onnxruntime's."""
        _choose_batching(module, self._reference.fixed_batch_size, self.inputs)
        error, tolerance = _difference(module, self._reference, self.inputs), _tolerance(self._model)
        with torch.no_grad():
            scale = max(1.0, float(module(self.inputs).abs().max()))
        if not error <= tolerance * scale:
            inputs = self.inputs.to(module.input_dtype)
            operation = first_difference(self._prepared.model, inputs, tolerance)
            raise self.not_differentiable((operation,), f"differs in torch by {error:g} from onnxruntime")
        return module

    def without_gradient(self, lost: GradientLost) -> InvalidModel:
        """Return the error of a lost gradient."""
        operations = lost.operations
        if lost.failed:
            operations = (first_difference(self._prepared.model, self.inputs, _PARITY_TOLERANCE),)
        return self.not_differentiable(operations, lost.problem)

    def not_differentiable(self, operations: tuple[str, ...], cause: str) -> InvalidModel:
        """Return the error of some operations."""
        names = ", ".join(dict.fromkeys(operations))
        return InvalidModel(
            Reason.MODEL_NOT_DIFFERENTIABLE,
            f"{self._problem}: operation {names} {cause}; export it without",
            {"operations": names},
        )


def _fused(x: Any) -> Any:
    return silu(x)


def _fuse_silu(graph_module: fx.GraphModule) -> None:
    """Replace x * sigmoid(x), as files write SiLU, by one operation: half the time, in the gradient too."""

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
    """Run a graph of a fixed batch size in larger batches, if a run shows that nothing changes."""
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

"""An ONNX classifier as a torch module whose weights can be trained, and its weights back in the ONNX file.

onnx2fx is young: it is used nowhere else, every module is compared with onnxruntime before it is handed out,
and only what the graph's structure calls a weight becomes a parameter (see `graph_weights`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx2fx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import Tensor, fx, nn

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.models.graph_weights import constant_value
from defuse_engine.models.onnx_file import parse
from defuse_engine.models.torch_graph import TorchGraph, prepare, scores_output

_PARITY_TOLERANCE = 1e-3
"""Largest difference from onnxruntime, over the largest absolute output or 1, of a converted model."""
_UNKNOWN_SIZE = 32
"""Taken for an image dimension that the graph leaves open, in the trial only."""


class DifferentiableModel(nn.Module):
    """The classifier's graph in torch: (n, ...) model inputs to float32 (n, K) scores.

    Its parameters are the trainable weights; everything else, BatchNorm's statistics too, is a buffer.
    """

    def __init__(self, graph_module: fx.GraphModule, weights: dict[str, str], input_dtype: torch.dtype):
        super().__init__()
        self.graph_module = graph_module
        self.weights = weights
        """Parameter name in `graph_module` to tensor name in the ONNX graph."""
        self.input_dtype = input_dtype
        self.fixed_batch_size: int | None = None
        """The batch size that the graph insists on, if it does."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores of `inputs` as the ONNX graph takes them (after preprocessing)."""
        inputs = inputs.to(self.input_dtype)
        size = self.fixed_batch_size
        if size is None:
            return self.graph_module(inputs).float()
        missing = -len(inputs) % size
        padded = torch.cat([inputs, inputs[-1:].expand(missing, *inputs.shape[1:])]) if missing else inputs
        scores = [self.graph_module(part) for part in padded.split(size)]
        return torch.cat(scores)[: len(inputs)].float()


def to_torch(model_bytes: bytes) -> DifferentiableModel:
    """Converts an ONNX classifier; on random inputs its scores equal onnxruntime's.

    Raises what `onnx_file.parse` does, and MODEL_NOT_DIFFERENTIABLE naming the operation in the way.
    """
    prepared = prepare(parse(model_bytes, "the classifier"))
    if prepared.blocking_operations:
        raise _not_differentiable(prepared.blocking_operations, "cannot be differentiated")
    if not prepared.weights:
        raise _not_differentiable(_last_operation(prepared), "leads to no trainable weight")
    module = _convert(prepared)
    inputs = _trial_inputs(prepared.input, module.input_dtype)
    _try_backward(module, inputs)
    _choose_batching(module, prepared.input, inputs)
    error = parity_max_abs_error(model_bytes, module, inputs)
    scale = max(1.0, float(module(inputs).detach().abs().max()))
    if not error <= _PARITY_TOLERANCE * scale:
        raise _not_differentiable(
            _last_operation(prepared), f"differs in torch by {error:g} from onnxruntime"
        )
    return module


def undifferentiable_operations(model_bytes: bytes) -> list[str]:
    """Names of the operations that keep the classifier from being corrected; empty where nothing does."""
    try:
        to_torch(model_bytes)
    except InvalidModel as error:
        if error.reason is not Reason.MODEL_NOT_DIFFERENTIABLE:
            raise
        return str(error.figures["operations"]).split(", ")
    return []


def write_back(model_bytes: bytes, module: DifferentiableModel) -> bytes:
    """The original file with the module's weights: topology, names, opset and metadata stay as they are."""
    model = parse(model_bytes, "the classifier")
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        tensor = constant_value(node)
        if tensor is not None:
            stored[node.output[0]] = tensor
    for parameter_name, tensor_name in module.weights.items():
        weight = module.graph_module.get_parameter(parameter_name)
        _store(stored[tensor_name], weight.detach().cpu().numpy())
    return model.SerializeToString()


def parity_max_abs_error(model_bytes: bytes, module: DifferentiableModel, inputs: Tensor) -> float:
    """Largest absolute difference between the file's scores in onnxruntime and the module's."""
    with torch.no_grad():
        ours = module(inputs).cpu().numpy()
    theirs = _run_onnx(model_bytes, inputs.detach().cpu().numpy())
    return float(np.abs(ours - theirs).max())


def _convert(prepared: TorchGraph) -> DifferentiableModel:
    try:
        graph_module = onnx2fx.convert(prepared.model)
    except onnx2fx.UnsupportedOpError as error:
        raise _not_differentiable((error.op_type,), "is not supported") from error
    except Exception as error:  # onnx2fx lets KeyError, TypeError and the like through
        raise _not_differentiable(_last_operation(prepared), f"could not be converted: {error}") from error
    for name in prepared.weights:
        weight = graph_module.get_buffer(name).clone()
        delattr(graph_module, name)
        graph_module.register_parameter(name, nn.Parameter(weight))
    element = prepared.input.type.tensor_type.elem_type
    dtype = torch.from_numpy(np.zeros(1, onnx.helper.tensor_dtype_to_np_dtype(element))).dtype
    return DifferentiableModel(graph_module, dict(prepared.weights), dtype)


class _GradientTrace(fx.Interpreter):
    """Runs the graph and remembers where it is, and after which operations the gradient was lost."""

    def __init__(self, module: fx.GraphModule):
        super().__init__(module)
        self.operation = "Input"
        self.losing: list[str] = []

    def run_node(self, n: fx.Node) -> Any:
        self.operation = str(n.meta.get("onnx_op_type", self.operation))
        result = super().run_node(n)
        had_gradient = any(_has_gradient(self.env[node]) for node in n.all_input_nodes if node in self.env)
        if had_gradient and isinstance(result, Tensor) and not _has_gradient(result):
            self.losing.append(self.operation)
        return result


def _has_gradient(value: object) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _try_backward(module: DifferentiableModel, inputs: Tensor) -> None:
    """Freezes weights that no gradient reaches; refuses a model where it reaches none."""
    trace = _GradientTrace(module.graph_module)
    trace.garbage_collect_values = False
    try:
        scores = trace.run(inputs)
    except Exception as error:  # whatever torch raises inside the graph, the operation is what matters
        raise _not_differentiable((trace.operation,), f"failed in torch: {error}") from error
    if not _has_gradient(scores):
        raise _not_differentiable(trace.losing or (trace.operation,), "stops the gradient")
    # Softmax rows sum to one: a plain sum would have no gradient.
    projection = torch.rand(scores.shape, generator=torch.Generator().manual_seed(1)).to(scores.dtype)
    names = list(module.weights)
    parameters = [module.graph_module.get_parameter(name) for name in names]
    gradients: tuple[Any, ...] = torch.autograd.grad(
        (scores * projection).sum(), parameters, allow_unused=True
    )
    if not any(gradient is not None and bool(gradient.any()) for gradient in gradients):
        raise _not_differentiable(trace.losing or (trace.operation,), "passes no gradient to any weight")
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is None:
            _freeze(module, name)


def _freeze(module: DifferentiableModel, name: str) -> None:
    weight = module.graph_module.get_parameter(name).detach()
    delattr(module.graph_module, name)
    module.graph_module.register_buffer(name, weight)
    del module.weights[name]


def _choose_batching(module: DifferentiableModel, graph_input: onnx.ValueInfoProto, inputs: Tensor) -> None:
    """Runs a graph of a fixed batch size in larger batches, where that provably changes nothing."""
    declared = graph_input.type.tensor_type.shape.dim[0].dim_value
    if declared < 1:
        return
    module.fixed_batch_size = declared
    doubled = torch.cat([inputs, inputs.flip(-1)])
    with torch.no_grad():
        one_by_one = module(doubled)
        try:
            at_once = module.graph_module(doubled).float()
        except (RuntimeError, ValueError, TypeError):
            return
    if at_once.shape == one_by_one.shape and torch.allclose(at_once, one_by_one, atol=1e-5):
        module.fixed_batch_size = None


def _trial_inputs(graph_input: onnx.ValueInfoProto, dtype: torch.dtype) -> Tensor:
    sizes = [dimension.dim_value for dimension in graph_input.type.tensor_type.shape.dim]
    shape = [sizes[0] or 2, *(size or _UNKNOWN_SIZE for size in sizes[1:])]
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def _run_onnx(model_bytes: bytes, inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model_bytes, providers=["CPUExecutionProvider"])
    graph_input = session.get_inputs()[0]
    output = scores_output(parse(model_bytes, "the classifier").graph)
    size = graph_input.shape[0] if isinstance(graph_input.shape[0], int) else len(inputs)
    padded = np.concatenate([inputs, np.repeat(inputs[-1:], -len(inputs) % size, axis=0)])
    parts = [padded[start : start + size] for start in range(0, len(padded), size)]
    scores = [np.asarray(session.run([output], {graph_input.name: part})[0]) for part in parts]
    return np.concatenate(scores)[: len(inputs)].astype(np.float32)


def _store(tensor: onnx.TensorProto, weight: np.ndarray) -> None:
    """Replaces the numbers of `tensor`, in the field that holds them now."""
    expected = numpy_helper.to_array(tensor)
    if weight.shape != expected.shape:
        raise ValueError(f"weight {tensor.name} must keep its shape {expected.shape}, got {weight.shape}")
    values = np.ascontiguousarray(weight, dtype=expected.dtype)
    if tensor.HasField("raw_data"):
        tensor.raw_data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    elif tensor.data_type == onnx.TensorProto.FLOAT:
        tensor.float_data[:] = values.ravel().tolist()
    elif tensor.data_type == onnx.TensorProto.DOUBLE:
        tensor.double_data[:] = values.ravel().tolist()
    else:  # float16 is kept as bit patterns
        tensor.int32_data[:] = values.view(np.uint16).ravel().tolist()


def _last_operation(prepared: TorchGraph) -> tuple[str, ...]:
    return (prepared.model.graph.node[-1].op_type if prepared.model.graph.node else "Identity",)


def _not_differentiable(operations: tuple[str, ...] | list[str], problem: str) -> InvalidModel:
    names = ", ".join(dict.fromkeys(operations))
    return InvalidModel(
        Reason.MODEL_NOT_DIFFERENTIABLE,
        f"the classifier cannot be fine-tuned: operation {names} {problem}; export it without",
        {"operations": names},
    )

"""A session: one ONNX file run on a device, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import onnxruntime as ort
import torch

from defuse_engine.errors import DeviceUnavailable, InvalidModel, InvalidSignature, Reason, out_of_memory
from defuse_engine.job_folder.watchdog import asked
from defuse_engine.models.device import CUDA_PROVIDER, Runtime
from defuse_engine.models.onnx_graph.onnx_file import (
    INPUT_TYPES,
    Signature,
    TensorSpec,
    parse,
    read_signature,
)
from defuse_engine.models.onnx_graph.rebatching import any_batch, declared_batch_size
from defuse_engine.models.onnx_graph.runnable_form import runnable_form
from defuse_engine.parallel import in_order

_LEAST_BATCH = 32
"""Smaller batches do not pay: each costs a tenth of a millisecond whatever is in it."""
_CHUNK_BATCHES = 8
"""About a quarter of a second of a small model's work."""
TORCH_TYPES = {name: cast("torch.dtype", getattr(torch, name)) for name in INPUT_TYPES.values()}


class Session:
    """One ONNX file on one device; takes and gives torch tensors there, a batch of any size at a time."""

    def __init__(self, model_bytes: bytes, runtime: Runtime, what: str):
        """Raises `InvalidModel` if the file cannot be parsed or onnxruntime rejects it."""
        self.what = what
        self.model_bytes = model_bytes
        """The file as it came."""
        self.runtime = runtime
        model = parse(model_bytes, what)
        self.signature: Signature = read_signature(model, what)
        runnable = runnable_form(model)
        opened = any_batch(runnable, tuple(output.name for output in self.signature.outputs))
        self._fixed_batch_size = declared_batch_size(model) if opened is None else None
        """The batch size that the file still demands; None if it takes any."""
        runnable = opened or runnable
        self._session = _open(
            model_bytes if runnable is model else runnable.SerializeToString(), runtime, what
        )
        # Batches that run side by side share the memory of one.
        share = max(_LEAST_BATCH, runtime.batch_size // runtime.at_once())
        self.batch_size = self._fixed_batch_size or min(share, runtime.batch_size)
        self.chunk_size = _CHUNK_BATCHES * (self._fixed_batch_size or runtime.batch_size)
        """Items to read, run and report on at a time: a few batches for every core."""
        self._output_items: dict[str, tuple[int, ...]] = {}

    def run(self, values: torch.Tensor, output: TensorSpec) -> torch.Tensor:
        """Run one batch of at most `batch_size` items; (n, ...) in, (n, ...) float32 out, on the device."""
        count = len(values)
        fixed = self._fixed_batch_size
        values = _cast(values, TORCH_TYPES[self.signature.input.dtype]).contiguous()
        if fixed and fixed != count:
            values = torch.cat([values, values.new_zeros((fixed - count, *values.shape[1:]))])
        result = torch.empty(
            (len(values), *self._item_shape(values, output)),
            dtype=TORCH_TYPES[output.dtype],
            device=values.device,
        )
        binding = self._session.io_binding()
        device, index = values.device.type, self.runtime.index
        if self.runtime.is_cuda:
            torch.cuda.synchronize(values.device)
        source, target = self.signature.input, output
        binding.bind_input(
            source.name, device, index, np.dtype(source.dtype).type, tuple(values.shape), values.data_ptr()
        )
        binding.bind_output(
            target.name, device, index, np.dtype(target.dtype).type, tuple(result.shape), result.data_ptr()
        )
        with asked(self.what, len(values)):
            self._session.run_with_iobinding(binding)
        return result[:count].float()

    def _item_shape(self, values: torch.Tensor, output: TensorSpec) -> tuple[int, ...]:
        """Return an output's item shape, measured by a first run: declared shapes may be wrong."""
        if output.name not in self._output_items:
            batch = values if self._fixed_batch_size else values[:1]
            try:
                with asked(self.what, len(batch)):
                    (result,) = self._session.run(
                        [output.name], {self.signature.input.name: batch.cpu().numpy()}
                    )
            except Exception as error:
                if out_of_memory(error):
                    raise
                raise InvalidSignature(
                    f"{self.what} does not run on an input of shape {tuple(batch.shape)}; it declares "
                    f"{self.signature.input.shape}: {_first_line(error)}"
                ) from None
            shape = cast("np.ndarray", result).shape
            if not shape or shape[0] != len(batch):
                raise InvalidSignature(
                    f"{self.what}: output {output.name!r} must keep the batch of {len(batch)} as its "
                    f"first axis, got shape {shape}"
                )
            self._output_items[output.name] = tuple(int(size) for size in shape[1:])
        return self._output_items[output.name]


def in_batches(
    run: Callable[[torch.Tensor], torch.Tensor], items: np.ndarray, session: Session
) -> np.ndarray:
    """Run a function of batches on the session's device over all `items`; return float32 on the host."""
    # An empty array must still give the output's shape: one item of zeros is run and dropped.
    padded = items if len(items) else np.zeros((1, *items.shape[1:]), np.float32)
    step, runtime = session.batch_size, session.runtime

    def run_one(start: int) -> np.ndarray:
        batch = np.ascontiguousarray(padded[start : start + step], np.float32)
        return run(torch.from_numpy(batch).to(runtime.device)).cpu().numpy()

    starts = range(0, len(padded), step)
    parts = list(in_order(run_one, starts, runtime.at_once(), runtime.threads))
    return np.concatenate(parts)[: len(items)]


def _cast(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Cast to a model's input type; integers are rounded, and clamped to their range."""
    if not dtype.is_floating_point:
        limits = torch.iinfo(dtype)
        values = values.round().clamp(limits.min, limits.max)
    return values.to(dtype)


def _open(model_bytes: bytes, runtime: Runtime, what: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # On the CPU batches run side by side instead (`in_batches`).
    options.intra_op_num_threads = runtime.threads if runtime.is_cuda else 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers: list[str | tuple[str, dict[str, str]]] = ["CPUExecutionProvider"]
    if runtime.is_cuda:
        providers.insert(0, (CUDA_PROVIDER, {"device_id": str(runtime.index)}))
    try:
        # onnxruntime computes constants as it opens a file.
        with asked(what, 0):
            session = ort.InferenceSession(model_bytes, options, providers=providers)
    except Exception as error:
        if out_of_memory(error):
            raise
        raise InvalidModel(
            Reason.MODEL_NOT_ONNX, f"onnxruntime does not take {what}: {_first_line(error)}"
        ) from None
    # If CUDA's libraries do not load, onnxruntime falls back to the CPU without an error.
    if runtime.is_cuda and CUDA_PROVIDER not in session.get_providers():
        raise DeviceUnavailable(
            f"{CUDA_PROVIDER} did not start on {runtime.device}; onnxruntime runs "
            f"{session.get_providers()} instead",
            {"device": runtime.device, "providers": ", ".join(session.get_providers())},
        )
    return session


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

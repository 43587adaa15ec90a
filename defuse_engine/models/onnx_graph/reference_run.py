"""The reference run of an ONNX file: random inputs, and onnxruntime's outputs for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import torch
from torch import Tensor

from defuse_engine.job_folder.watchdog import asked
from defuse_engine.models.onnx_graph.graph_editing import graph_input
from defuse_engine.models.onnx_graph.runnable_form import open_quietly, runnable_form

_SIZES = (32, 28, 64, 224, 16, 8, 96, 128, 299)
"""Heights and widths that are tried, in this order, if a graph leaves them open."""
_CHANNELS = (3, 1)


class ReferenceRun:
    """One output of an ONNX file in onnxruntime, on the CPU."""

    def __init__(self, model: onnx.ModelProto, output: str):
        self._session = open_quietly(runnable_form(model))
        self._output = output
        declared = graph_input(model.graph)
        self._name = declared.name
        self._dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(declared.type.tensor_type.elem_type))
        self._sizes = [dimension.dim_value for dimension in declared.type.tensor_type.shape.dim]
        self._vectors = _vector_sizes(model.graph)

    @property
    def fixed_batch_size(self) -> int | None:
        """The batch size that the file declares; None if it takes any."""
        return self._sizes[0] if self._sizes[0] > 0 else None

    def inputs(self) -> Tensor:
        """Return random inputs in [0, 1], integers in 0..255, of a shape that the file runs on."""
        shapes = list(self._shapes())
        tried = (values for values in map(self._random, shapes) if self._runs(values))
        return next(tried, self._random(shapes[0]))

    def _random(self, shape: tuple[int, ...]) -> Tensor:
        values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        return values if np.issubdtype(self._dtype, np.floating) else (values * 255).round()

    def _runs(self, values: Tensor) -> bool:
        try:
            self.run(values)
        except Exception:  # whatever onnxruntime rejects, another shape may do
            return False
        return True

    def run(self, inputs: Tensor) -> np.ndarray:
        """Return float32 outputs of any number of `inputs`, which are cast to the file's input type."""
        values = inputs.detach().cpu().numpy()
        if not np.issubdtype(self._dtype, np.floating):
            values = values.round()
        values = values.astype(self._dtype)
        size = self.fixed_batch_size or len(values)
        padded = np.concatenate([values, np.repeat(values[-1:], -len(values) % size, axis=0)])
        parts = [padded[start : start + size] for start in range(0, len(padded), size)]
        return np.concatenate([self._answers(part) for part in parts])[: len(values)].astype(np.float32)

    def _answers(self, part: np.ndarray) -> np.ndarray:
        with asked("the model", len(part)):
            return np.asarray(self._session.run([self._output], {self._name: part})[0])

    def _shapes(self) -> Iterator[tuple[int, ...]]:
        batch, *item = (self._sizes[0] or 2, *self._sizes[1:])
        if all(size > 0 for size in item):
            yield (batch, *item)
        elif len(item) == 1:
            yield from ((batch, size) for size in self._vectors or _SIZES)
        else:
            for size in _SIZES:
                for channels in _CHANNELS:
                    yield (batch, *(known or size for known in item))
                    yield (batch, item[0] or channels, *(known or size for known in item[1:]))
                    yield (batch, *(known or size for known in item[:-1]), item[-1] or channels)


def _vector_sizes(graph: onnx.GraphProto) -> list[int]:
    """Return the row and column counts of stored matrices: one of them is the size of a flat input."""
    sizes = [size for tensor in graph.initializer if len(tensor.dims) == 2 for size in tensor.dims]
    return list(dict.fromkeys(sizes))[:16]

"""Running ONNX files: images in, class outputs, codes or images out, on the device that was asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

import numpy as np
import onnxruntime as ort
import torch

from defuse_engine.errors import DeviceUnavailable, InvalidModel, Reason, out_of_memory
from defuse_engine.models.device import CUDA_PROVIDER, Runtime
from defuse_engine.models.onnx_file import Signature, TensorSpec, read_signature
from defuse_engine.models.preprocessing import ImageShape, apply, invert, model_item_shape
from defuse_engine.types import Codes, Images, OutputKind, Outputs, Preprocessing

TORCH_TYPES = {"float32": torch.float32, "float16": torch.float16, "float64": torch.float64}


class Session:
    """One ONNX file on one device; takes and gives torch tensors there, a batch of any size at a time."""

    def __init__(self, model_bytes: bytes, runtime: Runtime, what: str):
        """Raise the errors of `read_signature`; MODEL_NOT_ONNX where onnxruntime refuses the file."""
        self.what = what
        self.runtime = runtime
        self.signature: Signature = read_signature(model_bytes, what)
        self._session = _open(model_bytes, runtime, what)
        fixed = self.signature.batch_size
        self.batch_size = fixed if fixed > 0 else runtime.batch_size
        self._output_items: dict[str, tuple[int, ...]] = {}

    def run(self, values: torch.Tensor, output: TensorSpec) -> torch.Tensor:
        """Run one batch of at most `batch_size` items; (n, ...) in, (n, ...) float32 out, on the device."""
        count = len(values)
        fixed = self.signature.batch_size
        values = values.to(TORCH_TYPES[self.signature.input.dtype]).contiguous()
        if 0 < fixed != count:
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
        self._session.run_with_iobinding(binding)
        return result[:count].float()

    def _item_shape(self, values: torch.Tensor, output: TensorSpec) -> tuple[int, ...]:
        """Return an output's item shape, as a first run shows it: declared shapes may be wrong."""
        if output.name not in self._output_items:
            batch = values if self.signature.batch_size > 0 else values[:1]
            try:
                (result,) = self._session.run([output.name], {self.signature.input.name: batch.cpu().numpy()})
            except Exception as error:
                if out_of_memory(error):
                    raise
                raise InvalidModel(
                    Reason.MODEL_SIGNATURE,
                    f"{self.what} does not run on an input of shape {tuple(batch.shape)}; it declares "
                    f"{self.signature.input.shape}: {_first_line(error)}",
                ) from None
            shape = cast("np.ndarray", result).shape
            if not shape or shape[0] != len(batch):
                raise InvalidModel(
                    Reason.MODEL_SIGNATURE,
                    f"{self.what}: output {output.name!r} must keep the batch of {len(batch)} as its "
                    f"first axis, got shape {shape}",
                )
            self._output_items[output.name] = tuple(int(size) for size in shape[1:])
        return self._output_items[output.name]


class Classifier:
    """A classifier under audit: images (n, C, H, W) -> outputs (n, K), logits or probabilities."""

    def __init__(
        self,
        model_bytes: bytes,
        preprocessing: Preprocessing,
        output_kind: OutputKind,
        runtime: Runtime,
        what: str = "the classifier",
    ):
        """Raise MODEL_SIGNATURE, MODEL_CLASS_COUNT, or what `Session` raises."""
        self.preprocessing = preprocessing
        self.output_kind: OutputKind = output_kind
        self.session = Session(model_bytes, runtime, what)
        self.signature = self.session.signature
        check_layout(self.signature.input, preprocessing, what)
        self._output = self.signature.outputs[0]
        if len(self._output.shape) != 2:
            raise InvalidModel(
                Reason.MODEL_SIGNATURE,
                f"{what} output {self._output.name!r} must be (batch, classes), it is {self._output.shape}",
            )
        if self._output.shape[1] == 1:
            raise InvalidModel(
                Reason.MODEL_CLASS_COUNT,
                f"{what} must tell at least two classes apart, its output has one column; "
                "export one column a class",
            )

    @property
    def declared_class_count(self) -> int:
        """Number of classes that the file declares; -1 where it declares none."""
        return self._output.shape[1]

    @property
    def batch_size(self) -> int:
        """Most images that `on_device` takes at once."""
        return self.session.batch_size

    def on_device(self, images: torch.Tensor) -> torch.Tensor:
        """Run one batch (at most `batch_size`) of images on the device; (n, K) float32 there."""
        return self.session.run(apply(self.preprocessing, images), self._output)

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Turn outputs (n, K) into probabilities."""
        return torch.softmax(outputs, dim=1) if self.output_kind == "logits" else outputs

    def __call__(self, images: Images) -> Outputs:
        """Run any number of images, batch by batch."""
        return in_batches(self.on_device, images, self.session)

    def with_preprocessing(self, preprocessing: Preprocessing) -> Classifier:
        """Return the same classifier, fed in another way."""
        other = copy.copy(self)
        other.preprocessing = preprocessing
        return other

    def predict(self, images: Images) -> np.ndarray:
        """Return the predicted classes (n,) int64."""
        return self(images).argmax(axis=1)


class Encoder:
    """A VAE's encoder: images (n, C, H, W) -> mu (n, D); further outputs such as logvar are not used."""

    def __init__(self, model_bytes: bytes, preprocessing: Preprocessing, runtime: Runtime):
        """Raise MODEL_SIGNATURE, or what `Session` raises."""
        what = "the VAE's encoder"
        self.preprocessing = preprocessing
        self.session = Session(model_bytes, runtime, what)
        self.signature = self.session.signature
        check_layout(self.signature.input, preprocessing, what)
        self.mu = mu_output(self.signature)
        if len(self.mu.shape) != 2:
            raise InvalidModel(
                Reason.MODEL_SIGNATURE,
                f"{what} output {self.mu.name!r} must be (batch, D), it is {self.mu.shape}",
            )

    def __call__(self, images: Images) -> Codes:
        """Encode any number of images, batch by batch."""
        return in_batches(self.on_device, images, self.session)

    def on_device(self, images: torch.Tensor) -> torch.Tensor:
        """Encode one batch on the device."""
        return self.session.run(apply(self.preprocessing, images), self.mu)


class Decoder:
    """A VAE's decoder: codes (n, D) -> images (n, C, H, W)."""

    def __init__(
        self, model_bytes: bytes, preprocessing: Preprocessing, image_shape: ImageShape, runtime: Runtime
    ):
        """Raise MODEL_SIGNATURE, or what `Session` raises."""
        what = "the VAE's decoder"
        self.preprocessing = preprocessing
        self.image_shape = image_shape
        self.session = Session(model_bytes, runtime, what)
        self.signature = self.session.signature
        if len(self.signature.input.shape) != 2:
            raise InvalidModel(
                Reason.MODEL_SIGNATURE,
                f"{what} must take codes (batch, D), it takes {self.signature.input.shape}",
            )
        self._output = self.signature.outputs[0]
        self._item_shape = model_item_shape(preprocessing, image_shape)

    @property
    def declared_latent_size(self) -> int:
        """D as the file declares it; -1 where it does not."""
        return self.signature.input.shape[1]

    @property
    def batch_size(self) -> int:
        """Most codes that `on_device` takes at once."""
        return self.session.batch_size

    def on_device(self, codes: torch.Tensor) -> torch.Tensor:
        """Decode one batch on the device; VAE_SHAPE_MISMATCH where it gives no images of the known shape."""
        values = self.session.run(codes, self._output)
        if tuple(values.shape[1:]) != self._item_shape:
            raise InvalidModel(
                Reason.VAE_SHAPE_MISMATCH,
                f"the VAE's decoder must give items of shape {self._item_shape} "
                f"({self.preprocessing.layout}), it gives {tuple(values.shape[1:])}",
            )
        return invert(self.preprocessing, values, self.image_shape)

    def __call__(self, codes: Codes) -> Images:
        """Decode any number of codes, batch by batch."""
        return in_batches(self.on_device, codes, self.session)


def check_layout(spec: TensorSpec, preprocessing: Preprocessing, what: str) -> None:
    """Raise MODEL_SIGNATURE where the rank of an input does not fit its declared layout."""
    rank = 2 if preprocessing.layout == "FLAT" else 4
    if len(spec.shape) != rank:
        raise InvalidModel(
            Reason.MODEL_SIGNATURE,
            f"{what} input {spec.name!r} must have {rank} axes for layout {preprocessing.layout}, "
            f"it declares {spec.shape}; declare the layout that the model was exported with",
        )


def mu_output(signature: Signature) -> TensorSpec:
    """Find the encoder's mean: the output named so, or the first."""
    for output in signature.outputs:
        if {"mu", "mean", "z_mean", "z_mu"} & {output.name.lower(), output.name.lower().rpartition("/")[2]}:
            return output
    return signature.outputs[0]


def in_batches(
    run: Callable[[torch.Tensor], torch.Tensor], items: np.ndarray, session: Session
) -> np.ndarray:
    """Run a function of batches on the session's device over all of `items`; float32, on the host."""
    parts: list[np.ndarray] = []
    # An empty array still has to give the output's shape: one item of zeros is run and dropped.
    padded = items if len(items) else np.zeros((1, *items.shape[1:]), np.float32)
    for start in range(0, len(padded), session.batch_size):
        batch = np.ascontiguousarray(padded[start : start + session.batch_size], np.float32)
        parts.append(run(torch.from_numpy(batch).to(session.runtime.device)).cpu().numpy())
    return np.concatenate(parts)[: len(items)]


def _open(model_bytes: bytes, runtime: Runtime, what: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = runtime.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Decoder and classifier take turns: a pool that spins while it waits takes the cores from the other
    # (measured: 1.5 times the throughput without, on 2 cores).
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[str | tuple[str, dict[str, str]]] = ["CPUExecutionProvider"]
    if runtime.is_cuda:
        providers.insert(0, (CUDA_PROVIDER, {"device_id": str(runtime.index)}))
    try:
        session = ort.InferenceSession(model_bytes, options, providers=providers)
    except Exception as error:
        if out_of_memory(error):
            raise
        raise InvalidModel(
            Reason.MODEL_NOT_ONNX, f"onnxruntime does not take {what}: {_first_line(error)}"
        ) from None
    # onnxruntime falls back to the CPU without an error where CUDA's libraries do not load.
    if runtime.is_cuda and CUDA_PROVIDER not in session.get_providers():
        raise DeviceUnavailable(
            f"{CUDA_PROVIDER} did not start on {runtime.device}; onnxruntime runs "
            f"{session.get_providers()} instead",
            {"device": runtime.device, "providers": ", ".join(session.get_providers())},
        )
    return session


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

"""Classifier, encoder and decoder, as the engine uses ONNX files."""

from __future__ import annotations

import copy

import numpy as np
import torch

from defuse_engine.errors import InvalidModel, InvalidSignature, Reason
from defuse_engine.models.device import Runtime
from defuse_engine.models.onnx_graph.onnx_file import TensorSpec, choose_output
from defuse_engine.models.onnx_graph.vae_tensors import find_image, find_mu, find_spread
from defuse_engine.models.preprocessing import ImageShape, apply, invert, model_item_shape
from defuse_engine.models.session import Session, in_batches
from defuse_engine.types import Codes, Images, OutputKind, Outputs, Preprocessing, VaeTensors

FOUND_BY_NAME = VaeTensors()
_LOGVAR_RANGE = (-60.0, 60.0)
"""Keeps exp finite in float32."""


class Classifier:
    """A classifier under audit: images (n, C, H, W) -> outputs (n, K), logits or probabilities."""

    def __init__(
        self,
        model_bytes: bytes,
        preprocessing: Preprocessing,
        output_kind: OutputKind,
        runtime: Runtime,
        what: str = "the classifier",
        output: str | None = None,
    ):
        """Take `output` for the scores, or the only one that can hold them.

        Raise MODEL_SIGNATURE, MODEL_CLASS_COUNT, or what `Session` raises.
        """
        self.preprocessing = preprocessing
        self.output_kind: OutputKind = output_kind
        self.session = Session(model_bytes, runtime, what)
        self.signature = self.session.signature
        check_layout(self.signature.input, preprocessing, what)
        self.output = choose_output(self.signature.outputs, output, what)
        """The output that holds the scores: (batch, classes), -1 for a number that the file leaves open."""
        if len(self.output.shape) != 2:
            raise InvalidSignature(
                f"{what} output {self.output.name!r} must be (batch, classes), it is {self.output.shape}"
            )
        if self.output.shape[1] == 1:
            raise InvalidModel(
                Reason.MODEL_CLASS_COUNT,
                f"{what} must tell at least two classes apart, its output has one column. "
                "Export one column a class",
            )

    def on_device(self, images: torch.Tensor) -> torch.Tensor:
        """Run one batch (at most `session.batch_size`) of images on the device; (n, K) float32 there."""
        return self.session.run(apply(self.preprocessing, images), self.output)

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Turn outputs (n, K) into probabilities."""
        return torch.softmax(outputs, dim=1) if self.output_kind == "logits" else outputs

    def __call__(self, images: Images) -> Outputs:
        """Run any number of images, batch by batch."""
        return in_batches(self.on_device, images, self.session)

    def with_preprocessing(self, preprocessing: Preprocessing) -> Classifier:
        """Return the same classifier with another preprocessing."""
        other = copy.copy(self)
        other.preprocessing = preprocessing
        return other

    def predict(self, images: Images) -> np.ndarray:
        """Return the predicted classes (n,) int64."""
        return self(images).argmax(axis=1)


class Encoder:
    """A VAE's encoder: images (n, C, H, W) -> mu (n, D), and the standard deviation of each coordinate."""

    def __init__(
        self,
        model_bytes: bytes,
        preprocessing: Preprocessing,
        runtime: Runtime,
        tensors: VaeTensors = FOUND_BY_NAME,
    ):
        """Raise MODEL_SIGNATURE, or what `Session` raises."""
        what = "the VAE's encoder"
        self.preprocessing = preprocessing
        self.session = Session(model_bytes, runtime, what)
        self.signature = self.session.signature
        check_layout(self.signature.input, preprocessing, what)
        self.mu = find_mu(self.signature.outputs, tensors.mu, what)
        self.spread, self.spread_kind = find_spread(self.signature.outputs, self.mu, tensors, what)

    def __call__(self, images: Images) -> Codes:
        """Encode any number of images, batch by batch."""
        return in_batches(self.on_device, images, self.session)

    def with_preprocessing(self, preprocessing: Preprocessing) -> Encoder:
        """Return the same encoder with another preprocessing of the same layout."""
        other = copy.copy(self)
        other.preprocessing = preprocessing
        return other

    def on_device(self, images: torch.Tensor) -> torch.Tensor:
        """Encode one batch on the device."""
        return self.session.run(apply(self.preprocessing, images), self.mu)

    def posterior(self, images: Images) -> tuple[Codes, Codes | None]:
        """Return mu and sigma, the standard deviation (n, D), >= 0; None if the encoder gives mu alone.

        If no name tells logvar from sigma, the first images that are encoded do: values that are all positive
        are standard deviations. Raises MODEL_SIGNATURE if sigma is negative or not of mu's shape.
        """
        mu = self(images)
        if self.spread is None:
            return mu, None
        spread = self.spread
        values = in_batches(
            lambda batch: self.session.run(apply(self.preprocessing, batch), spread), images, self.session
        )
        if values.shape != mu.shape:
            raise InvalidSignature(
                f"the VAE's encoder output {spread.name!r} must have mu's shape {mu.shape}, "
                f"it has {values.shape}"
            )
        if self.spread_kind == "auto" and len(values):
            self.spread_kind = "sigma" if bool((values > 0).all()) else "logvar"
        if self.spread_kind != "sigma":
            return mu, np.exp(np.clip(values, *_LOGVAR_RANGE) / 2)
        if bool((values < 0).any()):
            raise InvalidSignature(
                f"the VAE's encoder output {spread.name!r} is taken for sigma, but has negative values. "
                "Register it as logvar"
            )
        return mu, values


class Decoder:
    """A VAE's decoder: codes (n, D) -> images (n, C, H, W)."""

    def __init__(
        self,
        model_bytes: bytes,
        preprocessing: Preprocessing,
        image_shape: ImageShape,
        runtime: Runtime,
        image: str | None = None,
    ):
        """Raise MODEL_SIGNATURE, or what `Session` raises."""
        what = "the VAE's decoder"
        self.preprocessing = preprocessing
        self.image_shape = image_shape
        self.session = Session(model_bytes, runtime, what)
        self.signature = self.session.signature
        if len(self.signature.input.shape) != 2:
            raise InvalidSignature(
                f"{what} must take codes (batch, D), it takes {self.signature.input.shape}"
            )
        self.output = find_image(self.signature.outputs, image, what)
        """The output that holds the image."""
        self._item_shape = model_item_shape(preprocessing, image_shape)

    def on_device(self, codes: torch.Tensor) -> torch.Tensor:
        """Decode one batch on the device; raises VAE_SHAPE_MISMATCH if it gives images of another shape."""
        values = self.session.run(codes, self.output)
        if tuple(values.shape[1:]) != self._item_shape:
            raise InvalidModel(
                Reason.VAE_SHAPE_MISMATCH,
                f"the VAE's decoder must give items of shape {self._item_shape} "
                f"({self.preprocessing.layout}), it gives {tuple(values.shape[1:])}",
            )
        return invert(self.preprocessing, values, self.image_shape)

    def with_preprocessing(self, preprocessing: Preprocessing) -> Decoder:
        """Return the same decoder with another preprocessing of the same layout."""
        other = copy.copy(self)
        other.preprocessing = preprocessing
        return other

    def __call__(self, codes: Codes) -> Images:
        """Decode any number of codes, batch by batch."""
        return in_batches(self.on_device, codes, self.session)


def check_layout(spec: TensorSpec, preprocessing: Preprocessing, what: str) -> None:
    """Raise MODEL_SIGNATURE if the rank of an input does not fit its declared layout."""
    rank = 2 if preprocessing.layout == "FLAT" else 4
    if len(spec.shape) != rank:
        raise InvalidSignature(
            f"{what} input {spec.name!r} must have {rank} axes for layout {preprocessing.layout}, "
            f"it declares {spec.shape}. Declare the layout that the model was exported with"
        )

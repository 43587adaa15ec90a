"""Ascent of the classifier's loss in latent space, within a trust region around each seed."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn import functional

from defuse_engine.configs import MethodName
from defuse_engine.models.differentiable import DifferentiableModel, input_differentiable
from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.models.preprocessing import apply, invert
from defuse_engine.search.method import Proposals
from defuse_engine.search.seeds import Seeds

_START = 0.5
"""Scale of the random start: from the seed itself every ascent would be the same."""
_STRIDE = 0.4
"""Length of a step over the radius of the trust region."""
_ENOUGH = 4
"""An ascent ends at its fourth misclassification: the deeper it goes, the likelier it shows another class."""
_STALLED = 0.02
"""An ascent that moves by less, over the radius, has come to rest on the edge of its trust region."""
_TRIED_STEPS = 2
_HOPELESS = 0.98
"""An ascent that leaves the classifier surer than this of the seed's label at its third code is given up."""
_LEAST_PROBABILITY = 1e-12


class DecodedClassifier:
    """Decoder and classifier in one differentiable piece: codes (n, D) -> log-probabilities (n, K)."""

    def __init__(self, decoder: Decoder, classifier: Classifier):
        """Raise MODEL_NOT_DIFFERENTIABLE where one of them has no gradient."""
        device = decoder.session.runtime.device
        self._decoder, self._classifier = decoder, classifier
        self._decode = _frozen(decoder.session.model_bytes, decoder.output.name, device)
        self._classify = _frozen(classifier.session.model_bytes, classifier.output.name, device)
        self.device = device
        # An ascent needs a direction, and what it finds is classified again: half the digits do, in two
        # thirds of the time, where the processor computes with them.
        self._rough = device == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))

    def __call__(self, codes: Tensor) -> Tensor:
        """Log-probabilities of decoded codes."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._rough):
            images = invert(self._decoder.preprocessing, self._decode(codes), self._decoder.image_shape)
            outputs = self._classify(apply(self._classifier.preprocessing, images)).float()
        if self._classifier.output_kind == "logits":
            return functional.log_softmax(outputs, dim=1)
        return outputs.clamp_min(_LEAST_PROBABILITY).log()


class Gradient:
    """Normalised ascent of the cross-entropy of the seed's label.

    The trust region is a ball around the seed's code whose radius is the expected length of the neighbourhood
    method's noise, in coordinates over `scale`: it asks what the worst of such steps does. (Projected ascent
    as in A. Madry et al., Towards deep learning models resistant to adversarial attacks, 2018, in latent
    space.)
    """

    name: MethodName = "gradient"

    def __init__(
        self, candidates: int, scale: Float32[np.ndarray, " d"], model: DecodedClassifier, batch: int
    ):
        """Look at this number of codes for each seed, `batch` seeds at a time."""
        self._steps = candidates
        self._model = model
        self._batch = batch
        self._scale = torch.from_numpy(scale).to(model.device)
        self._radius = float(len(scale)) ** 0.5

    def propose(
        self, seeds: Seeds, takes_part: Bool[np.ndarray, " n"], rng: np.random.Generator
    ) -> Proposals:
        """Codes on the ascents that are misclassified, as far as torch can tell."""
        starts = (_START * rng.standard_normal(seeds.codes.shape, np.float32))[takes_part]
        rows = np.flatnonzero(takes_part)
        codes: list[np.ndarray] = [np.zeros((0, seeds.codes.shape[1]), np.float32)]
        seed_rows: list[np.ndarray] = [np.zeros(0, np.int64)]
        tried = np.zeros(len(seeds), np.int64)
        for first in range(0, len(rows), self._batch):
            some = rows[first : first + self._batch]
            tried[some] = self._ascend(
                seeds[some], starts[first : first + self._batch], some, codes, seed_rows
            )
        return Proposals(np.concatenate(codes), np.concatenate(seed_rows), tried)

    def _ascend(
        self,
        seeds: Seeds,
        starts: Float32[np.ndarray, "n d"],
        rows: np.ndarray,
        codes: list[np.ndarray],
        seed_rows: list[np.ndarray],
    ) -> Int64[np.ndarray, " n"]:
        """Appends to `codes` and `seed_rows`; returns how many codes of each seed were looked at."""
        device = self._model.device
        origins = torch.from_numpy(seeds.codes).to(device)
        labels = torch.from_numpy(seeds.labels).to(device)
        moves = self._inside(torch.from_numpy(starts).to(device))
        found = np.zeros(len(rows), np.int64)
        active = np.arange(len(rows))
        tried = np.zeros(len(rows), np.int64)
        for step in range(self._steps):
            here = torch.from_numpy(active).to(device)
            move = moves[here].requires_grad_()
            candidates = origins[here] + move * self._scale
            log_probabilities = self._model(candidates)
            tried[active] += 1
            loss = functional.nll_loss(log_probabilities, labels[here], reduction="sum")
            (gradient,) = torch.autograd.grad(loss, move)
            wrong = (log_probabilities.argmax(dim=1) != labels[here]).cpu().numpy()
            codes.append(candidates.detach().cpu().numpy()[wrong])
            seed_rows.append(rows[active[wrong]])
            found[active[wrong]] += 1
            stepped = self._stepped(move.detach(), gradient)
            moved = (stepped - move.detach()).norm(dim=1) > _STALLED * self._radius
            moves[here] = stepped
            goes_on = (found[active] < _ENOUGH) & moved.cpu().numpy()
            if step >= _TRIED_STEPS:
                own = log_probabilities.detach().gather(1, labels[here][:, None])[:, 0]
                goes_on &= (own < np.log(_HOPELESS)).cpu().numpy()
            active = active[goes_on]
            if len(active) == 0:
                break
        return tried

    def _stepped(self, move: Tensor, gradient: Tensor) -> Tensor:
        # Where the classifier is saturated the gradient vanishes: such a seed stays where it is.
        gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
        lengths = gradient.norm(dim=1, keepdim=True).clamp_min(torch.finfo(gradient.dtype).tiny)
        return self._inside(move + _STRIDE * self._radius * gradient / lengths)

    def _inside(self, move: Tensor) -> Tensor:
        lengths = move.norm(dim=1, keepdim=True).clamp_min(torch.finfo(move.dtype).tiny)
        return move * (self._radius / lengths).clamp_max(1.0)


def _frozen(model_bytes: bytes, output: str, device: str) -> DifferentiableModel:
    # Channels last: convolutions and their gradients take 0.7 to 0.8 of the time on a processor.
    model = input_differentiable(model_bytes, output).to(device)
    return model.to(memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]

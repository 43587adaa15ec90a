"""Ascents in latent space, each towards one class, within a trust region around each seed.

An ascent looks for an input that the classifier takes for its target and that still shows the seed's label. A
guide, a small network of our own (`readers.py`), says whether it does. Without a guide most ascents walk into
the class that they aim at, which is no mistake. Without a target for each, all seeds of a class run into the
one mistake that is nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from defuse_engine.configs import MethodName
from defuse_engine.models.device import computes_in_bfloat16
from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.models.preprocessing import apply, invert
from defuse_engine.models.scores import log_probabilities
from defuse_engine.models.torch_form.bfloat16 import in_bfloat16
from defuse_engine.models.torch_form.differentiable import DifferentiableModel, input_differentiable
from defuse_engine.search.methods.search_method import Proposals
from defuse_engine.search.readers import Readers
from defuse_engine.search.seeds import Seeds
from defuse_engine.types import Codes, Labels

_REACH = 2.0
"""Radius of the trust region over the expected length of the neighbourhood method's noise."""
_FIRST_REACH = 0.4
"""The radius at the start, over the full one. A mistake that lies near is then found near, where the decoder
draws what it knows."""
_GROWING_STEPS = 8
"""Steps until the radius is full."""
_START = 0.5
"""Scale of the random start: from the seed itself every ascent would be the same."""
_STRIDE = 0.4
"""Length of a step over the radius of the trust region."""
_LENGTH = 10
"""Codes of an ascent. A seed with twice as many starts again elsewhere, towards another class."""
_ENOUGH = 4
"""An ascent ends at its fourth misclassification: the deeper it goes, the likelier it shows another class."""
_STALLED = 0.02
"""An ascent whose step is shorter than this share of the radius rests on the edge of its trust region."""
_TRIED_STEPS = 2
_HOPELESS = 0.95
"""An ascent is given up if its third code leaves the classifier surer than this of the seed's label."""
_LEAST_LOG = -1e4
"""Stands for a log-probability that is not finite."""
_MOST_BYTES = 1 << 26
"""Of a gradient, on a processor: more is no faster, and what is freed in such pieces stays in the process."""
_LEAST_AT_ONCE = 16
_SOME_CODES = 8
"""Codes whose memory is measured, to know that of one."""
_AIMED_BEFORE = 1e6
"""Taken from the log-probability of a class for each ascent of the seed that aimed at it before."""


class DecodedClassifier:
    """Decoder, classifier and guide in one differentiable piece."""

    def __init__(self, decoder: Decoder, classifier: Classifier, readers: Readers, codes: Codes):
        """Raise MODEL_NOT_DIFFERENTIABLE if decoder or classifier has no gradient.

        `codes` are a few that ascents may meet: a faster form of both is tried on them.
        """
        device = decoder.session.runtime.device
        self._decoder, self._classifier = decoder, classifier
        self._decode = _frozen(decoder.session.model_bytes, decoder.output.name, device)
        self._classify = _frozen(classifier.session.model_bytes, classifier.output.name, device)
        self.device = device
        # Last: asking for the guide trains it, and a model without a gradient needs none.
        self._guide = readers.guide
        # What an ascent finds is classified again.
        self._rough = computes_in_bfloat16(device)
        if self._rough:
            some = torch.from_numpy(codes)
            images = self._images(some)
            self._decode = in_bfloat16(self._decode, some)
            self._classify = in_bfloat16(self._classify, apply(classifier.preprocessing, images))

    def __call__(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities (n, K) of decoded codes (n, D), by the classifier and by the guide."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._rough):
            images = self._images(codes)
            outputs = self._classify(apply(self._classifier.preprocessing, images)).float()
            guided = self._guide(images)[-1]
        return log_probabilities(outputs, self._classifier.output_kind), guided

    def bytes_per_code(self, latent_size: int) -> int:
        """Return the memory that the gradient of one code takes, weights aside."""
        few, many = (self._remembered(count, latent_size) for count in (_SOME_CODES, 2 * _SOME_CODES))
        return (many - few) // _SOME_CODES

    def _remembered(self, count: int, latent_size: int) -> int:
        total = 0

        def add(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.nbytes
            return tensor

        codes = torch.zeros(count, latent_size, device=self.device, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(add, lambda tensor: tensor):
            self(codes)
        return total

    def _images(self, codes: Tensor) -> Tensor:
        return invert(self._decoder.preprocessing, self._decode(codes), self._decoder.image_shape)


class GradientAscents:
    """Normalised ascent of log p(target) by the classifier plus log p(seed label) by the guide.

    The trust region is a ball around the seed's code, in coordinates over `scale`, that grows to twice the
    expected length of the neighbourhood method's noise. (Projected ascent as in A. Madry et al., Towards deep
    learning models resistant to adversarial attacks, 2018, in latent space.)
    """

    name: MethodName = "gradient"

    def __init__(
        self, candidates: int, scale: Float32[np.ndarray, " d"], model: DecodedClassifier, batch: int
    ):
        """Look at no more than `candidates` codes for each seed, `batch` seeds at a time."""
        self._ascents = max(1, candidates // _LENGTH)
        self._steps = candidates // self._ascents
        self._model = model
        self._batch = batch
        self._scale = torch.from_numpy(scale).to(model.device)
        self._radius = _REACH * float(len(scale)) ** 0.5
        # A classifier may know more classes than the dataset has names for, which its file need not say.
        self._class_count = model(torch.zeros(1, len(scale), device=model.device))[0].shape[1]
        bytes_per_code = max(1, model.bytes_per_code(len(scale)))
        affordable = _MOST_BYTES // bytes_per_code if model.device == "cpu" else batch
        self._at_once = int(np.clip(affordable, min(_LEAST_AT_ONCE, batch), batch))
        self.memory_bytes = self._at_once * bytes_per_code

    def propose(
        self, seeds: Seeds, takes_part: Bool[np.ndarray, " n"], rng: np.random.Generator
    ) -> Proposals:
        """Return the codes on the ascents that are misclassified, as far as torch can tell."""
        rows = np.flatnonzero(takes_part)
        codes: list[np.ndarray] = [np.zeros((0, seeds.codes.shape[1]), np.float32)]
        seed_rows: list[np.ndarray] = [np.zeros(0, np.int64)]
        tried = np.zeros(len(seeds), np.int64)
        aimed = np.zeros((len(seeds), self._class_count), np.int64)
        for _ in range(self._ascents):
            starts = (_START * rng.standard_normal(seeds.codes.shape, np.float32))[takes_part]
            for first in range(0, len(rows), self._batch):
                some = rows[first : first + self._batch]
                ascent = self._ascend(seeds[some], starts[first : first + self._batch], aimed[some])
                codes.append(ascent.codes)
                seed_rows.append(some[ascent.rows])
                tried[some] += ascent.tried
                aimed[some, ascent.targets] += 1
        return Proposals(np.concatenate(codes), np.concatenate(seed_rows), tried)

    def _ascend(
        self, seeds: Seeds, starts: Float32[np.ndarray, "n d"], aimed: Int64[np.ndarray, "n k"]
    ) -> _Ascent:
        """Make one ascent from each seed; `aimed` counts earlier ascents of each seed towards each class."""
        device = self._model.device
        origins = torch.from_numpy(seeds.codes).to(device)
        labels = torch.from_numpy(seeds.labels).to(device)
        moves = _inside(torch.from_numpy(starts).to(device), self._radius)
        chosen, targets = seeds.labels, labels
        codes: list[np.ndarray] = []
        rows: list[np.ndarray] = []
        found, tried = np.zeros(len(seeds), np.int64), np.zeros(len(seeds), np.int64)
        active = np.arange(len(seeds))
        for step in range(self._steps):
            here = torch.from_numpy(active).to(device)
            move = moves[here]
            candidates = origins[here] + move * self._scale
            tried[active] += 1
            if step == 0:
                chosen = targets_for(self._read(candidates).cpu().numpy(), seeds.labels, aimed)
                targets = torch.from_numpy(chosen).to(device)
            log_probabilities, gradient = self._climb(candidates, targets[here], labels[here])
            gradient = gradient * self._scale
            wrong = (log_probabilities.argmax(dim=1) != labels[here]).cpu().numpy()
            codes.append(candidates.cpu().numpy()[wrong])
            rows.append(active[wrong])
            found[active[wrong]] += 1
            radius = self._radius * min(
                1.0, _FIRST_REACH + (1.0 - _FIRST_REACH) * (step + 1) / _GROWING_STEPS
            )
            stepped = _stepped(move, gradient, radius)
            moved = (stepped - move).norm(dim=1) > _STALLED * radius
            moves[here] = stepped
            goes_on = (found[active] < _ENOUGH) & moved.cpu().numpy()
            if step >= _TRIED_STEPS:
                own = log_probabilities.gather(1, labels[here][:, None])[:, 0]
                goes_on &= (own < np.log(_HOPELESS)).cpu().numpy()
            active = active[goes_on]
            if len(active) == 0:
                break
        return _Ascent(np.concatenate(codes), np.concatenate(rows), tried, chosen)

    def _read(self, codes: Tensor) -> Tensor:
        """Return the classifier's log-probabilities (n, K) of codes (n, D)."""
        with torch.no_grad():
            return torch.cat([self._model(some)[0] for some in codes.split(self._at_once)])

    def _climb(self, codes: Tensor, targets: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities (n, K), and the gradient (n, D) of what an ascent climbs."""
        pieces: list[tuple[Tensor, Tensor]] = []
        for rows in torch.arange(len(codes), device=codes.device).split(self._at_once):
            some = codes[rows].requires_grad_()
            log_probabilities, guided = self._model(some)
            loss = functional.nll_loss(log_probabilities, targets[rows], reduction="sum")
            loss = loss + functional.nll_loss(guided, labels[rows], reduction="sum")
            pieces.append((log_probabilities.detach(), torch.autograd.grad(-loss, some)[0]))
        told, gradients = zip(*pieces, strict=True)
        return torch.cat(told), torch.cat(gradients)


@dataclass(frozen=True)
class _Ascent:
    """One ascent from each of s seeds."""

    codes: Codes
    """The n codes that are misclassified."""
    rows: Int64[np.ndarray, " n"]
    """The seed of each code."""
    tried: Int64[np.ndarray, " s"]
    """Codes of each seed that were looked at."""
    targets: Int64[np.ndarray, " s"]
    """The class that each seed's ascent aimed at."""


def _stepped(move: Tensor, gradient: Tensor, radius: float) -> Tensor:
    # If the classifier is saturated, the gradient vanishes, and the seed stays where it is.
    gradient = torch.nan_to_num(gradient, 0.0, 0.0, 0.0)
    lengths = gradient.norm(dim=1, keepdim=True).clamp_min(torch.finfo(gradient.dtype).tiny)
    return _inside(move + _STRIDE * radius * gradient / lengths, radius)


def _inside(move: Tensor, radius: float) -> Tensor:
    lengths = move.norm(dim=1, keepdim=True).clamp_min(torch.finfo(move.dtype).tiny)
    return move * (radius / lengths).clamp_max(1.0)


def targets_for(
    log_probabilities: Float32[np.ndarray, "n k"], labels: Labels, aimed: Int64[np.ndarray, "n k"]
) -> Labels:
    """Return the class that each ascent aims at: likely ones, shared evenly among the seeds of a label.

    Of n seeds with one label, each of the K - 1 other classes gets at most ceil(n / (K - 1)). Within that
    bound the sum of their log-probabilities is the largest. `aimed` counts the earlier ascents of each seed
    towards each class: the classes with the fewest come first.
    """
    likely = np.nan_to_num(log_probabilities, nan=_LEAST_LOG, neginf=_LEAST_LOG, posinf=0.0)
    likely = likely - _AIMED_BEFORE * aimed
    targets = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        others = np.delete(np.arange(likely.shape[1]), label)
        columns = np.repeat(others, -(-len(rows) // len(others)))
        _, chosen = linear_sum_assignment(likely[np.ix_(rows, columns)], maximize=True)
        targets[rows] = columns[chosen]
    return targets


def _frozen(model_bytes: bytes, output: str, device: str) -> DifferentiableModel:
    return input_differentiable(model_bytes, output).to(device).eval()

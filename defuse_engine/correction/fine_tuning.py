"""Fine-tuning of one point of the sweep: the classifier's own weights, clean data, labeled region samples."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from torch.nn import functional

from defuse_engine.configs import Preset
from defuse_engine.correction.labeled_regions import LabeledSamples
from defuse_engine.inputs.dataset import Split
from defuse_engine.models.torch_form.differentiable import DifferentiableModel
from defuse_engine.models.preprocessing import apply
from defuse_engine.models.scores import log_probabilities
from defuse_engine.types import Images, Labels, OutputKind, Preprocessing

_LEAST_WEIGHT_SCALE = 1e-3
"""Weights that start at zero must be able to move: the floor of Adafactor's relative steps."""
_WARM_UP_SHARE = 0.1
_PAPER_MOMENTUM = 0.9
_LEAST_STEPS = 300
"""For each pass asked for: a small dataset is walked through more often, or nothing would change."""
_MOST_STEPS = 2_500
"""Of one point: a large dataset is sampled, not walked through."""
_CHECKED_EVERY_STEPS = 25
_EVALUATION_BATCH = 512
_READ_SHARE = 0.5
"""Of a target, what the witness reads; the rest is the seed's label. A step from an item may leave its class,
and some items are mislabeled: both together are wrong less often, and less surely, than either."""

Right = Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class Tuning:
    """All that every point of the sweep shares."""

    preset: Preset
    preprocessing: Preprocessing
    output_kind: OutputKind
    clean: Split
    pools: tuple[LabeledSamples, ...]
    """Samples of regions first, then what goes with them; each loss has lambda for its weight.

    The targets of samples that the witness has read are its reading and their label, half each."""
    batch_size: int
    baseline_loss: float
    """Clean cross-entropy of the classifier as it came."""
    mined_count: int = 0
    """Samples of the last pool, where it was mined."""

    def steps(self, epochs: int) -> int:
        """Steps of gradient descent for so many passes, within bounds that `preset: paper` does not know."""
        asked = epochs * math.ceil(len(self.clean) / self.batch_size)
        return asked if self.preset == "paper" else min(_MOST_STEPS, max(_LEAST_STEPS * epochs, asked))

    def walked_epochs(self, epochs: int) -> int:
        """Passes over the clean data that these steps make, at least one."""
        return max(1, round(self.steps(epochs) * self.batch_size / len(self.clean)))


@dataclass(frozen=True)
class Setting:
    """One point of the sweep."""

    region_weight: float
    """Lambda; 0 is the control."""
    learning_rate: float
    epochs: int


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned copy, and how it went."""

    model: DifferentiableModel
    training_loss: float
    """Mean of CE(clean) + lambda * CE(region samples) over the last steps with a finite loss."""
    diverged: bool
    """Cut short and rolled back to the last sound weights: its clean loss neared that of guessing."""


def fine_tune(
    model: DifferentiableModel,
    tuning: Tuning,
    setting: Setting,
    generator: np.random.Generator,
    on_step: Callable[[int], None],
    missed: Int64[np.ndarray, " _"] | None = None,
) -> Tuned:
    """Minimises CE(clean) + lambda * CE(pool), summed over all pools, from a copy of `model`.

    By Adam with relative steps: each moves a weight tensor by up to `learning_rate` times its root mean
    square, so that one value serves classifiers whose weights differ in scale (N. Shazeer, M. Stern,
    Adafactor, 2018, section 8); it warms up and falls to zero by a cosine. `preset: paper`: by SGD with
    momentum 0.9. `on_step` gets the number of steps done.

    `missed`: rows of the first pool, the samples of regions; half of what is drawn of it is drawn of them.
    """
    tuned = copy.deepcopy(model)
    steps = tuning.steps(setting.epochs)
    optimizer, schedule = _optimizer(tuned, tuning, setting, steps)
    limit = _divergence_limit(tuning)
    sound = copy.deepcopy(tuned.state_dict())
    clean_losses: list[float] = []
    losses: list[float] = []
    for step, (clean, pools) in enumerate(_batches(tuning, steps, generator, missed)):
        optimizer.zero_grad(set_to_none=True)
        clean_loss, region_loss = _cross_entropies(
            tuned, tuning, clean, pools if setting.region_weight else []
        )
        loss = clean_loss + setting.region_weight * region_loss
        loss.backward()
        optimizer.step()
        schedule.step()
        clean_losses.append(float(clean_loss.detach()))
        losses.append(float(loss.detach()))
        on_step(step + 1)
        if (step + 1) % _CHECKED_EVERY_STEPS and step + 1 < steps:
            continue
        # NaN compares as false: written so that it counts as diverged.
        if not np.mean(clean_losses[-_CHECKED_EVERY_STEPS:]) <= limit:
            tuned.load_state_dict(sound)
            return Tuned(tuned, _finite_mean(losses), diverged=True)
        sound = copy.deepcopy(tuned.state_dict())
    return Tuned(tuned, _finite_mean(losses), diverged=False)


def _optimizer(
    model: DifferentiableModel, tuning: Tuning, setting: Setting, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    if tuning.preset == "paper":
        plain = torch.optim.SGD(model.parameters(), lr=setting.learning_rate, momentum=_PAPER_MOMENTUM)
        return plain, torch.optim.lr_scheduler.LambdaLR(plain, lambda step: 1.0)
    relative = torch.optim.Adam(_relative_groups(model, setting.learning_rate))
    return relative, torch.optim.lr_scheduler.LambdaLR(relative, lambda step: _schedule(step, steps))


def predict(model: DifferentiableModel, preprocessing: Preprocessing, images: Images) -> Labels:
    """Predicted classes (n,) of images (n, C, H, W)."""
    return _scores(model, preprocessing, images).argmax(dim=1).cpu().numpy()


def right(model: DifferentiableModel, preprocessing: Preprocessing, split: Split) -> Right:
    """Which items of a split are classified as labeled."""
    parts = [
        predict(model, preprocessing, images) == split.labels[chosen]
        for chosen, images in split.batches(np.arange(len(split)), _EVALUATION_BATCH)
    ]
    return np.concatenate(parts)


def mean_loss(
    model: DifferentiableModel,
    preprocessing: Preprocessing,
    output_kind: OutputKind,
    images: Images,
    labels: Labels,
) -> float:
    """Mean cross-entropy of `images`."""
    told = log_probabilities(_scores(model, preprocessing, images), output_kind)
    return float(functional.nll_loss(told.cpu(), torch.from_numpy(labels)))


def _scores(model: DifferentiableModel, preprocessing: Preprocessing, images: Images) -> Tensor:
    with torch.no_grad():
        parts = torch.from_numpy(images).to(_device(model)).split(_EVALUATION_BATCH)
        return torch.cat([model(apply(preprocessing, part)) for part in parts])


def _cross_entropies(
    model: DifferentiableModel, tuning: Tuning, clean: LabeledSamples, pools: list[LabeledSamples]
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the clean batch, and the sum of the means of the others, from one pass.

    Frozen statistics keep the batches apart.
    """
    device = _device(model)
    batches = [clean, *pools]
    images = torch.from_numpy(np.concatenate([batch.images for batch in batches])).to(device)
    told = log_probabilities(model(apply(tuning.preprocessing, images)), tuning.output_kind)
    first, *others = (
        _cross_entropy(part, batch)
        for part, batch in zip(told.split([len(batch.labels) for batch in batches]), batches, strict=True)
    )
    return first, sum(others, torch.zeros_like(first))


def _cross_entropy(told: Tensor, batch: LabeledSamples) -> Tensor:
    """Mean over the batch, of log-probabilities (n, K)."""
    of_labels = functional.nll_loss(told, torch.from_numpy(batch.labels).to(told.device))
    if batch.read is None:
        return of_labels
    read = torch.from_numpy(batch.read).to(told.device)
    # The dataset may have fewer classes than the classifier.
    of_readings = -(read * told[:, : read.shape[1]]).sum(dim=1).mean()
    return (1 - _READ_SHARE) * of_labels + _READ_SHARE * of_readings


def _batches(
    tuning: Tuning, steps: int, generator: np.random.Generator, missed: Int64[np.ndarray, " _"] | None
) -> Iterator[tuple[LabeledSamples, list[LabeledSamples]]]:
    """So many clean batches, each with one of every pool, half of the first pool's from the rows `missed`."""
    pools = [pool for pool in tuning.pools if len(pool.labels)]
    size = tuning.batch_size if len(pools) == 1 else max(1, tuning.batch_size // 2)
    order = np.zeros(0, np.int64)
    for _ in range(steps):
        if len(order) == 0:
            order = generator.permutation(len(tuning.clean))
        chosen, order = order[: tuning.batch_size], order[tuning.batch_size :]
        drawn: list[LabeledSamples] = []
        for number, pool in enumerate(pools):
            rows = generator.integers(len(pool.labels), size=size)
            if number == 0 and missed is not None and len(missed):
                rows[: size // 2] = generator.choice(missed, size // 2)
            drawn.append(pool[rows])
        yield LabeledSamples(tuning.clean.images(chosen), tuning.clean.labels[chosen]), drawn


def _relative_groups(model: DifferentiableModel, learning_rate: float) -> list[dict[str, object]]:
    return [
        {
            "params": [weight],
            "lr": learning_rate * max(_LEAST_WEIGHT_SCALE, float(weight.detach().square().mean().sqrt())),
        }
        for weight in model.parameters()
    ]


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warm_up = max(1.0, _WARM_UP_SHARE * steps)
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1.0, steps - warm_up)))


def _divergence_limit(tuning: Tuning) -> float:
    """Half of the way from the baseline's loss to that of guessing."""
    guessing = math.log(max(2, int(tuning.clean.labels.max()) + 1))
    return max((tuning.baseline_loss + guessing) / 2, 2 * tuning.baseline_loss)


def _finite_mean(losses: list[float]) -> float:
    finite = [loss for loss in losses if math.isfinite(loss)]
    return float(np.mean(finite[-_CHECKED_EVERY_STEPS:])) if finite else 0.0


def _device(model: DifferentiableModel) -> torch.device:
    return next(model.parameters()).device

"""Fine-tuning of one point of the sweep, on clean data and labeled region samples."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from defuse_engine.correction.labeled_regions import LabeledSamples
from defuse_engine.inputs.dataset import Split
from defuse_engine.models.preprocessing import apply
from defuse_engine.models.scores import log_probabilities
from defuse_engine.models.torch_form.differentiable import DifferentiableModel
from defuse_engine.types import Images, Labels, OutputKind, Preprocessing

_LEAST_WEIGHT_SCALE = 1e-3
"""Weights that start at zero must be able to move: the floor of Adafactor's relative steps."""
_WARM_UP_SHARE = 0.1
_PAPER_MOMENTUM = 0.9
_CHECKED_EVERY_STEPS = 25
_EVALUATION_BATCH = 512
_READ_SHARE = 0.5
"""Share of a target that the readers give; the rest is the seed's label. A step from an item may leave its
class, and some items are mislabeled. Both together are wrong less often, and less surely, than either."""

Right = Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class Optimization:
    """How weights are moved, and for how many steps."""

    start: Callable[[DifferentiableModel, float, int], tuple[Optimizer, LambdaLR]]
    """From a model, a learning rate and the number of steps to an optimizer and its schedule."""
    least_steps: int
    """For each pass asked for. A small dataset is walked through more often, or nothing would change."""
    most_steps: int
    """Of one point. A large dataset is sampled, not walked through."""


@dataclass(frozen=True)
class Tuning:
    """All that the points of a sweep share."""

    optimization: Optimization
    preprocessing: Preprocessing
    output_kind: OutputKind
    clean: Split
    pools: tuple[LabeledSamples, ...]
    """Samples of regions first, then what goes with them. The weight of each loss is lambda.

    Samples that the readers have read have two targets, the reading and their label, half each."""
    batch_size: int
    baseline_loss: float
    """Clean cross-entropy of the classifier before any tuning."""
    mined_count: int = 0
    """Samples of the last pool, if it was mined."""

    def steps(self, epochs: int) -> int:
        """Return the steps of gradient descent for so many passes, within the optimization's bounds."""
        bounds, asked = self.optimization, epochs * math.ceil(len(self.clean) / self.batch_size)
        return min(bounds.most_steps, max(bounds.least_steps * epochs, asked))

    def walked_epochs(self, epochs: int) -> int:
        """Return the passes over the clean data that these steps make, at least one."""
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
    """A fine-tuned copy, and how its training went."""

    model: DifferentiableModel
    training_loss: float
    """Mean of CE(clean) + lambda * CE(region samples) over the last steps with a finite loss."""
    diverged: bool
    """Its clean loss neared that of guessing, so it was stopped and rolled back to the last sound weights."""


def fine_tune(
    model: DifferentiableModel,
    tuning: Tuning,
    setting: Setting,
    generator: np.random.Generator,
    on_step: Callable[[int], None],
    missed: Int64[np.ndarray, " _"] | None = None,
) -> Tuned:
    """Minimise CE(clean) + lambda * CE(pool), summed over all pools, from a copy of `model`.

    `on_step` gets the number of steps done. `missed` are rows of the first pool, the samples of regions: half
    of what is drawn of that pool is drawn of them.
    """
    tuned = copy.deepcopy(model)
    steps = tuning.steps(setting.epochs)
    optimizer, schedule = tuning.optimization.start(tuned, setting.learning_rate, steps)
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


def _relative_adam(
    model: DifferentiableModel, learning_rate: float, steps: int
) -> tuple[Optimizer, LambdaLR]:
    """Adam with relative steps: each moves a weight by up to `learning_rate` times its root mean square.

    One value then serves classifiers whose weights differ in scale (N. Shazeer, M. Stern, Adafactor, 2018,
    section 8). The rate warms up, and falls to zero by a cosine.
    """
    groups: list[dict[str, object]] = [
        {
            "params": [weight],
            "lr": learning_rate * max(_LEAST_WEIGHT_SCALE, float(weight.detach().square().mean().sqrt())),
        }
        for weight in model.parameters()
    ]
    optimizer = torch.optim.Adam(groups)
    return optimizer, LambdaLR(optimizer, lambda step: _schedule(step, steps))


def _plain_sgd(model: DifferentiableModel, learning_rate: float, steps: int) -> tuple[Optimizer, LambdaLR]:
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=_PAPER_MOMENTUM)
    return optimizer, LambdaLR(optimizer, lambda step: 1.0)


RELATIVE_ADAM = Optimization(_relative_adam, least_steps=300, most_steps=2_500)
PAPER_SGD = Optimization(_plain_sgd, least_steps=0, most_steps=sys.maxsize)
"""SGD with momentum 0.9, and as many steps as the passes take (arXiv 2102.06162)."""


def predict(model: DifferentiableModel, preprocessing: Preprocessing, images: Images) -> Labels:
    """Return predicted classes (n,) of images (n, C, H, W)."""
    return _scores(model, preprocessing, images).argmax(dim=1).cpu().numpy()


def classified_right(model: DifferentiableModel, preprocessing: Preprocessing, split: Split) -> Right:
    """Tell which items of a split are classified as labeled."""
    return split.right(lambda images: predict(model, preprocessing, images), _EVALUATION_BATCH)


def mean_loss(
    model: DifferentiableModel,
    preprocessing: Preprocessing,
    output_kind: OutputKind,
    images: Images,
    labels: Labels,
) -> float:
    """Return the mean cross-entropy of `images`, in nats."""
    told = log_probabilities(_scores(model, preprocessing, images), output_kind)
    return float(functional.nll_loss(told.cpu(), torch.from_numpy(labels)))


def _scores(model: DifferentiableModel, preprocessing: Preprocessing, images: Images) -> Tensor:
    with torch.no_grad():
        parts = torch.from_numpy(images).to(_device(model)).split(_EVALUATION_BATCH)
        return torch.cat([model(apply(preprocessing, part)) for part in parts])


def _cross_entropies(
    model: DifferentiableModel, tuning: Tuning, clean: LabeledSamples, pools: list[LabeledSamples]
) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy of the clean batch, and the sum of the means of the others.

    One pass serves all: statistics are frozen, so the batches do not influence each other.
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
    """Give clean batches, each with one of every pool; half of the first pool's are rows of `missed`."""
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


def _schedule(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warm_up = max(1.0, _WARM_UP_SHARE * steps)
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1.0, steps - warm_up)))


def _divergence_limit(tuning: Tuning) -> float:
    """Return the loss halfway between the baseline's and that of guessing, or twice the baseline's."""
    guessing = math.log(max(2, int(tuning.clean.labels.max()) + 1))
    return max((tuning.baseline_loss + guessing) / 2, 2 * tuning.baseline_loss)


def _finite_mean(losses: list[float]) -> float:
    finite = [loss for loss in losses if math.isfinite(loss)]
    return float(np.mean(finite[-_CHECKED_EVERY_STEPS:])) if finite else 0.0


def _device(model: DifferentiableModel) -> torch.device:
    return next(model.parameters()).device

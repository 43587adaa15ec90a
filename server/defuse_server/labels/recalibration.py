"""Recalibrates, by people's answers, how likely it is that the readers are right about a bug.

A bug's *proposal* is its seeds' label; `Bug.label_probability` says how far the readers see it. They may be
too sure or too shy. The probability that people give the same label is

    p(right) = sigmoid(a + b * logit(label_probability))

a logistic regression on the readers' own log odds (J. Platt, "Probabilistic Outputs for Support Vector
Machines and Comparisons to Regularized Likelihood Methods", Advances in Large Margin Classifiers, 1999). `a`
and `b` have the largest posterior probability given the decided bugs of the audit, with the priors
a ~ N(0, 1) and b ~ N(1, 0.5^2). So p is the label_probability while nobody has answered, and few answers move
it little.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

INTERCEPT_VARIANCE: Final = 1.0
SLOPE_VARIANCE: Final = 0.25
LEAST_SLOPE: Final = 0.05
"""What the readers believe more is never believed less."""
_CERTAIN: Final = 0.999
"""Larger probabilities count as this: three digits are more than some samples can tell."""
_STEPS_MAX: Final = 100
_TOLERANCE: Final = 1e-10


@dataclass(frozen=True)
class DecidedProposal:
    """A bug that people have decided. `right`: they gave the seeds' label."""

    label_probability: float
    right: bool


@dataclass(frozen=True)
class Recalibration:
    """The map from `label_probability` to the probability that the proposal is right, both 0..1."""

    intercept: float = 0.0
    slope: float = 1.0

    def __call__(self, label_probability: float) -> float:
        """Return the probability that the proposal is right.

        A `label_probability` of 0 means that no reader was asked: it tells nothing.
        """
        return _sigmoid(self.intercept + self.slope * _log_odds(label_probability))


def recalibrated(decided: Sequence[DecidedProposal]) -> Recalibration:
    """Fit the two parameters by Newton's method. The objective is convex, so the optimum is the only one."""
    told = [(_log_odds(one.label_probability), one.right) for one in decided]
    free = _fitted(told, Recalibration(), slope_is_free=True)
    if free.slope >= LEAST_SLOPE:
        return free
    # The objective is convex: if its optimum has a smaller slope, the best allowed one lies on the bound.
    return _fitted(told, Recalibration(free.intercept, LEAST_SLOPE), slope_is_free=False)


def _fitted(told: Sequence[tuple[float, bool]], at: Recalibration, *, slope_is_free: bool) -> Recalibration:
    for _ in range(_STEPS_MAX):
        step_a, step_b = _newton_step(told, at, slope_is_free=slope_is_free)
        # A full step may overshoot where the sigmoid is flat; half of it, and half again, never does.
        share, before = 1.0, _loss(told, at)
        while _loss(told, moved := _moved(at, step_a, step_b, share)) > before and share > _TOLERANCE:
            share /= 2.0
        at = moved
        if max(abs(step_a), abs(step_b)) < _TOLERANCE:
            break
    return at


def _moved(at: Recalibration, step_a: float, step_b: float, share: float) -> Recalibration:
    return Recalibration(at.intercept - share * step_a, at.slope - share * step_b)


def _newton_step(
    told: Sequence[tuple[float, bool]], at: Recalibration, *, slope_is_free: bool
) -> tuple[float, float]:
    """Return the inverse Hessian times the gradient of the loss."""
    gradient_a, gradient_b = at.intercept / INTERCEPT_VARIANCE, (at.slope - 1.0) / SLOPE_VARIANCE
    aa, ab, bb = 1.0 / INTERCEPT_VARIANCE, 0.0, 1.0 / SLOPE_VARIANCE
    for odds, right in told:
        p = _sigmoid(at.intercept + at.slope * odds)
        gradient_a += p - right
        gradient_b += (p - right) * odds
        weight = p * (1.0 - p)
        aa += weight
        ab += weight * odds
        bb += weight * odds * odds
    if not slope_is_free:
        return gradient_a / aa, 0.0
    determinant = aa * bb - ab * ab
    step_a, step_b = bb * gradient_a - ab * gradient_b, aa * gradient_b - ab * gradient_a
    return step_a / determinant, step_b / determinant


def _loss(told: Sequence[tuple[float, bool]], at: Recalibration) -> float:
    """Return minus the log of the posterior probability, up to a constant."""
    prior = at.intercept**2 / INTERCEPT_VARIANCE + (at.slope - 1.0) ** 2 / SLOPE_VARIANCE
    return prior / 2.0 + sum(
        _softplus((-1.0 if right else 1.0) * (at.intercept + at.slope * odds)) for odds, right in told
    )


def _log_odds(probability: float) -> float:
    if probability <= 0.0:
        return 0.0
    bounded = min(max(probability, 1.0 - _CERTAIN), _CERTAIN)
    return math.log(bounded / (1.0 - bounded))


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0.0 else 1.0 - 1.0 / (1.0 + math.exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))

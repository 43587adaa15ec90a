"""What people would answer: an oracle that nothing is chosen by, and the same with slips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from bench._scores import Model

_AGREES = 0.8
"""Share of the samples that must show one class. Otherwise the oracle calls them mixed."""
Answer = int | None
"""A class, or None for mixed."""


def read(oracle: Model, images: np.ndarray) -> Answer:
    """Let the oracle say what images (n, C, H, W) show."""
    counts = np.bincount(oracle.predict(images))
    return int(counts.argmax()) if counts.max() >= _AGREES * counts.sum() else None


def with_slips(answer: Answer, class_count: int, share: float, rng: np.random.Generator) -> Answer:
    """Return the answer, or in this share of the cases another class, each as likely."""
    if rng.random() >= share:
        return answer
    others = [label for label in range(class_count) if label != answer]
    return others[int(rng.integers(len(others)))]


def decided(seed_label: int, ask: Callable[[], Answer]) -> tuple[Answer, int]:
    """Ask about a bug until its label is decided. Return the label and the number of answers that it took.

    As in the service: a label against the seeds' counts when a second answer agrees. If that doesn't agree,
    a third decides by majority; without one the bug stays unlabeled.
    """
    votes = [ask()]
    if votes[0] in (seed_label, None):
        return votes[0], 1
    votes.append(ask())
    if votes[1] != votes[0]:
        votes.append(ask())
    label, count = Counter(votes).most_common(1)[0]
    return (label if count > 1 else None), len(votes)

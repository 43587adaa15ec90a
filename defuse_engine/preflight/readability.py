"""Readability: how much of what is read on the originals is still read once the VAE has drawn them.

The classifier under audit alone cannot tell. A VAE that was trained with its features in the loss can paint
what pleases it and shows people nothing: *flattery*. So independent readers are asked as well, and the worst
word counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.intervals import wilson
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.preflight.skill import cohens_kappa, require_skill
from defuse_engine.readers.independent_readers import IndependentReaders
from defuse_engine.readers.own_classifier import OwnClassifier
from defuse_engine.types import Images, Interval, Labels

Right = Bool[np.ndarray, " n"]

LEAST_READABILITY = 0.5
LOW_READABILITY = 0.9
MOST_FLATTERY = 0.25
LOW_FLATTERY = 0.05
_ABLE_KAPPA = 0.4
"""Agreement with the labels, on originals, that an independent reader needs: up to here it is "fair" (Landis
and Koch, Biometrics 33, 1977). What a weaker one reads, any blur turns."""


@dataclass(frozen=True)
class Readability:
    """What a sample of reconstructions shows; every share comes with its 95% Wilson interval."""

    classifier: Interval
    """Of the items whose original the classifier under audit reads as labeled, the share whose reconstruction
    it reads so too."""
    independent: Interval | None
    """The same of the independent reader that keeps least; None if none can read the originals."""
    flattery: Interval | None
    """Of the items whose original the independent readers read as labeled, by their mean probabilities, the
    share whose reconstruction the classifier reads as labeled and they do not; None if none can."""
    read_as: Labels
    """What the classifier predicts for the reconstructions; -1 where one has NaN or infinite values."""
    right_to_all: Right
    """Which reconstructions the classifier and every able independent reader read as labeled."""

    @property
    def worst(self) -> Interval:
        """The lower of the two readabilities."""
        both = [self.classifier] if self.independent is None else [self.classifier, self.independent]
        return min(both, key=lambda one: one.value)

    @property
    def is_low(self) -> bool:
        """Whether the readability deserves a warning."""
        return self.worst.value < LOW_READABILITY

    @property
    def told(self) -> str:
        """What was measured, in a sentence."""
        own = _told(self.classifier)
        if self.independent is None or self.flattery is None:
            return (
                f"The classifier still reads {own} of what it read before the VAE. No independent reader "
                "has checked that."
            )
        return (
            f"Independent readers still read {_told(self.independent)} of what they read before the VAE, the "
            f"classifier {own}. {_told(self.flattery)} of the reconstructions please the classifier alone."
        )

    @property
    def told_low(self) -> str:
        """How low the readability is, and to whom."""
        who = "an independent reader" if self.worst is self.independent else "the classifier"
        return (
            f"readability is {self.worst.value:.2f}: of the validation images that it reads as labeled, "
            f"{who} still reads {_told(self.worst)} once the VAE has drawn them"
        )

    @property
    def figures(self) -> dict[str, Any]:
        """The figures that a preflight and the training of a VAE have in common, by their names."""
        return {
            "readability": self.worst.value,
            "classifier_readability": self.classifier,
            "independent_readability": self.independent,
            "flattery": self.flattery,
            "readability_summary": self.told,
        }


class SampleReaders:
    """The classifier under audit and the independent readers, on a sample of labeled images."""

    def __init__(
        self, classifier: Classifier, independent: IndependentReaders, images: Images, labels: Labels
    ):
        """Ask the classifier alone; the independent readers are trained when they are first asked.

        Raises `PreflightRefused` if the classifier is right hardly more often than by chance.
        """
        self.classifier, self._independent = classifier, independent
        self.images, self.labels = images, labels
        self.outputs = require_skill(classifier, images, labels)
        self.right_on_originals: Right = self.outputs.argmax(axis=1) == labels

    def read(self, reconstructions: Images, alone: Readability | None = None) -> Readability:
        """Let the classifier and the independent readers read reconstructions of `images`.

        `alone` is what the classifier alone reads in them, if that is known.
        """
        alone = alone or self.read_alone(reconstructions)
        if not self._able:
            return alone
        right, finite = alone.right_to_all, finite_items(reconstructions)
        numbers = _numbers(reconstructions)
        before = np.stack([seen for _, seen in self._able])
        after = np.stack([network.probabilities(numbers) for network, _ in self._able])
        read_before = before.argmax(axis=2) == self.labels
        read_after = (after.argmax(axis=2) == self.labels) & finite
        together_before, together_after = (
            seen.mean(axis=0).argmax(axis=1) == self.labels for seen in (before, after)
        )
        kept = [_kept(*both) for both in zip(read_before, read_after, strict=True)]
        return replace(
            alone,
            independent=min(kept, key=lambda one: one.value),
            flattery=_kept(together_before, right & ~together_after),
            right_to_all=right & read_after.all(axis=0),
        )

    def read_alone(self, reconstructions: Images) -> Readability:
        """Let the classifier alone read reconstructions of `images`."""
        predicted = self.classifier.predict(_numbers(reconstructions))
        read_as = np.where(finite_items(reconstructions), predicted, -1)
        right = read_as == self.labels
        return Readability(_kept(self.right_on_originals, right), None, None, read_as, right)

    def warn_of_unable(self, reporter: Reporter) -> None:
        """Warn of independent readers that cannot read the originals (INDEPENDENT_READERS_UNABLE)."""
        able, count = len(self._able), len(self._independent.networks)
        if able < count:
            reporter.warning(
                "INDEPENDENT_READERS_UNABLE",
                f"{count - able} of {count} independent readers, small networks that the job trains on the "
                "train split, cannot read the validation images. They take no part in the readability"
                + ("" if able else ", which is the classifier's word alone")
                + ". Add train items, or check the labels",
            )

    @cached_property
    def _able(self) -> list[tuple[OwnClassifier, Float32[np.ndarray, "n k"]]]:
        """The networks that can read the originals, each with the probabilities that it gives there."""
        able: list[tuple[OwnClassifier, Float32[np.ndarray, "n k"]]] = []
        for network in self._independent.networks:
            seen = network.probabilities(self.images)
            if cohens_kappa(seen.argmax(axis=1), self.labels, seen.shape[1]) > _ABLE_KAPPA:
                able.append((network, seen))
        return able


def _kept(before: Right, after: Right) -> Interval:
    """Return the share of the items of `before` that are in `after` too."""
    return wilson(int((before & after).sum()), int(before.sum()))


def _numbers(reconstructions: Images) -> Images:
    return np.nan_to_num(reconstructions, posinf=0.0, neginf=0.0)


def told_flattery(flattery: Interval) -> str:
    """Tell how much flattery there is."""
    return (
        f"flattery is {flattery.value:.2f}: {_told(flattery)} of the VAE's reconstructions show their label "
        "to the classifier alone. Independent readers, which never saw a reconstruction, read the originals "
        "but not these, and people will hardly read them either"
    )


def _told(share: Interval) -> str:
    return f"{share.value:.0%} ({share.lower:.0%} to {share.upper:.0%})"

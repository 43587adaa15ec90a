"""Readers: small networks of our own that say what they see in a candidate.

They fit the train split's labels alone, so their mistakes are not those of the classifier under audit. If
both see the same class, the step probably walked into that class. If the readers see what the seed shows, the
classifier is probably wrong.

What was chosen because a network sees the seed's label in it pleases that network, whatever it shows. So
there are three kinds, and none does the work of another: the guide steers ascents, the readers choose
candidates and regions, and independent readers, held out until then, have the last word on what was chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from defuse_engine.parallel import Tally, in_order
from defuse_engine.readers.own_classifier import (
    Design,
    Effort,
    OwnClassifier,
    reader_effort,
    train_own_classifier,
)
from defuse_engine.readers.readers_file import has_readers, read_readers
from defuse_engine.run import Run
from defuse_engine.types import Images, Labels

READERS, GUIDE = "readers", "guide"
"""Their names in a `readers.npz`. The guide of an audit without ascents is not there."""
_GUIDE_EFFORT = 0.4
"""Steps of the guide over those of a reader."""
_TYPICAL_ITEMS = 1_000
_REDRAWN = 5_000
"""Train items that a network sees as the VAE draws them."""
_REDRAWN_BYTES = 1 << 28


@dataclass(frozen=True)
class _Network:
    """What a network is, and how it is trained."""

    stream: str
    """The name of its random stream."""
    design: Design
    redrawn: bool
    """Whether half of its items are as the VAE draws them, because candidates look like that."""
    augment: bool = True


_READERS = (_Network("witness/0", "strided", redrawn=True), _Network("witness/1", "pooled", redrawn=False))
"""Their probabilities are averaged: one network alone is surer than it is right."""
_GUIDE = _Network("witness/guide", "strided", redrawn=True, augment=False)


class Readers:
    """Networks trained on the train split, each when it is first asked; the same for the same random seed."""

    def __init__(self, run: Run):
        """Take the train split, its codes and the random seed of a run."""
        self._run = run
        self._effort = reader_effort(len(run.train_codes))

    def probabilities(self, images: Images) -> Float32[np.ndarray, "n k"]:
        """Return the probability of each class, averaged over the readers."""
        return np.stack([network.probabilities(images) for network in self.networks]).mean(axis=0)

    def held_out_probabilities(self, images: Images) -> Float32[np.ndarray, "n k"]:
        """Return the probability of each class, averaged over readers that no candidate was chosen by."""
        return self._run.independent.probabilities(images)

    @cached_property
    def held_out_typical(self) -> float:
        """Median of what the held-out readers give a validation item's own label."""
        split = self._run.inputs.dataset.validation
        some = np.sort(self._run.generator("held-out/typical").permutation(len(split))[:_TYPICAL_ITEMS])
        labels = split.labels[some]
        seen = self.held_out_probabilities(split.images(some))[np.arange(len(labels)), labels]
        return float(np.median(seen))

    @cached_property
    def networks(self) -> tuple[OwnClassifier, ...]:
        """The readers, as an audit trained them, or trained side by side."""
        runtime, total = self._run.inputs.runtime, len(_READERS) * self._effort.steps
        if self._run.trained is not None:
            return self._read(self._run.trained, READERS, len(_READERS))
        tally = Tally(lambda done: self._report(done, total))

        def train(number: int) -> OwnClassifier:
            return self._train(_READERS[number], self._effort, tally.of(number))

        return tuple(in_order(train, range(len(_READERS)), runtime.at_once(), runtime.threads))

    @cached_property
    def guide(self) -> OwnClassifier:
        """One more network, which steers ascents.

        No reader steers. What is chosen to please a network pleases it whatever it shows, and then the
        network's word on it is worth nothing.
        """
        if self._run.trained is not None and has_readers(self._run.trained, GUIDE):
            return self._read(self._run.trained, GUIDE, 1)[0]
        steps = max(1, round(_GUIDE_EFFORT * self._effort.steps))
        effort = Effort(steps, self._effort.batch_size)
        return self._train(_GUIDE, effort, lambda done: self._report(done, steps))

    def _read(self, file: Path, group: str, count: int) -> tuple[OwnClassifier, ...]:
        dataset = self._run.inputs.dataset
        shape, classes = dataset.image_shape, dataset.class_count
        return read_readers(file, group, count, shape, classes, self._run.device)

    def _report(self, done: int, total: int) -> None:
        self._run.reporter.progress("neighbourhood", done, total, "steps")

    def _train(self, network: _Network, effort: Effort, on_step: Callable[[int], None]) -> OwnClassifier:
        generator = self._run.generator(network.stream)
        dataset = self._run.inputs.dataset
        return train_own_classifier(
            dataset.train,
            dataset.train.labels,
            dataset.class_count,
            generator,
            self._run.device,
            effort,
            self._redrawn(generator) if network.redrawn else None,
            on_step,
            design=network.design,
            augment=network.augment,
        )

    def _redrawn(self, generator: np.random.Generator) -> tuple[Images, Labels]:
        inputs, codes = self._run.inputs, self._run.train_codes
        affordable = max(1, _REDRAWN_BYTES // (4 * math.prod(inputs.dataset.image_shape)))
        some = np.sort(generator.permutation(len(codes))[: min(_REDRAWN, affordable)])
        return inputs.decoder(codes[some]), inputs.dataset.train.labels[some]

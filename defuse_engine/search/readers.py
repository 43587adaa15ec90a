"""Readers: small networks of our own that say what they see in a candidate.

They fit the train split's labels alone, so their mistakes are not those of the classifier under audit. If
both see the same class, the step probably walked into that class. If the readers see what the seed shows, the
classifier is probably wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from defuse_engine.inputs.own_classifier import Effort, OwnClassifier, train_own_classifier
from defuse_engine.parallel import Tally, in_order
from defuse_engine.run import Run
from defuse_engine.types import Images

_NETWORKS = 2
"""Networks whose probabilities are averaged: one alone is surer than it is right."""
_BATCH_SIZE = 128
_EPOCHS = 20
_STEPS = (200, 1_500)
"""Least and most steps. Little data is seen often; of much data, only a part."""
_GUIDE_EFFORT = 0.4
"""Steps of the guide over those of a reader."""
_REDRAWN = 5_000
"""Train items that the readers also see as the VAE draws them, because candidates look like that."""
_REDRAWN_BYTES = 1 << 28


class Readers:
    """Networks trained on the train split, each when it is first asked; the same for the same random seed."""

    def __init__(self, run: Run):
        """Take the train split, its codes and the random seed of a run."""
        self._run = run
        self._steps = int(np.clip(_EPOCHS * len(run.train_codes) // _BATCH_SIZE, *_STEPS))

    def probabilities(self, images: Images) -> Float32[np.ndarray, "n k"]:
        """Return the probability of each class, averaged over the readers."""
        return np.stack([network.probabilities(images) for network in self._networks]).mean(axis=0)

    @cached_property
    def _networks(self) -> list[OwnClassifier]:
        runtime, total = self._run.inputs.runtime, _NETWORKS * self._steps
        tally = Tally(lambda done: self._report(done, total))

        def train(number: int) -> OwnClassifier:
            return self._train(f"witness/{number}", self._steps, tally.of(number))

        return list(in_order(train, range(_NETWORKS), runtime.at_once(), runtime.threads))

    @cached_property
    def guide(self) -> OwnClassifier:
        """One more network, which steers ascents.

        No reader steers. What is chosen to please a network pleases it whatever it shows, and then the
        network's word on it is worth nothing.
        """
        steps = max(1, round(_GUIDE_EFFORT * self._steps))
        return self._train("witness/guide", steps, lambda done: self._report(done, steps))

    def _report(self, done: int, total: int) -> None:
        self._run.reporter.progress("neighbourhood", done, total, "steps")

    def _train(self, stream: str, steps: int, on_step: Callable[[int], None]) -> OwnClassifier:
        inputs, codes, generator = self._run.inputs, self._run.train_codes, self._run.generator(stream)
        train = inputs.dataset.train
        affordable = max(1, _REDRAWN_BYTES // (4 * math.prod(inputs.dataset.image_shape)))
        some = np.sort(generator.permutation(len(codes))[: min(_REDRAWN, affordable)])
        return train_own_classifier(
            train,
            train.labels,
            inputs.dataset.class_count,
            generator,
            self._run.device,
            Effort(steps, _BATCH_SIZE),
            (inputs.decoder(codes[some]), train.labels[some]),
            on_step,
        )

"""The witness: small classifiers of our own that say what they see in a candidate.

They fit the train split's labels alone. Their mistakes are not those of the classifier under audit: where
both see the same, the step probably walked into another class; where they see what the seed shows, the
classifier is probably wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from defuse_engine.inputs.own_classifier import Effort, OwnClassifier, train_own_classifier
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.parallel import Tally, in_order
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Codes, Images

_READERS = 2
"""Networks whose probabilities are averaged: one alone is surer than it is right."""
_BATCH_SIZE = 128
_EPOCHS = 20
_STEPS = (200, 1_500)
"""At least, and at most: little data is seen often, of much not all."""
_GUIDE_EFFORT = 0.4
"""Steps of the guide over those of a reader."""
_REDRAWN = 5_000
"""Train items that they also see as the VAE draws them: candidates look like that."""
_REDRAWN_BYTES = 1 << 28


class Witness:
    """Networks trained on the train split, whose `codes` are known; the same for the same seed."""

    def __init__(self, resources: Resources, codes: Codes, seed: int, reporter: Reporter):
        """Train the readers."""
        self._resources, self._codes, self._seed, self._reporter = resources, codes, seed, reporter
        self._steps = int(np.clip(_EPOCHS * len(codes) // _BATCH_SIZE, *_STEPS))
        runtime, total = resources.runtime, _READERS * self._steps
        tally = Tally(lambda done: reporter.progress("neighbourhood", done, total, "steps"))

        def read(number: int) -> OwnClassifier:
            return self._trained(f"witness/{number}", self._steps, tally.of(number))

        self._readers = list(in_order(read, range(_READERS), runtime.at_once(), runtime.threads))

    def probabilities(self, images: Images) -> Float32[np.ndarray, "n k"]:
        """What the readers hold each class for, on average."""
        return np.stack([reader.probabilities(images) for reader in self._readers]).mean(axis=0)

    @cached_property
    def guide(self) -> OwnClassifier:
        """One more network, trained when it is first asked for, that steers ascents.

        No reader steers: what is chosen for pleasing a network would please it whatever it shows, and its
        word on it would be worth nothing.
        """
        steps = max(1, round(_GUIDE_EFFORT * self._steps))
        return self._trained(
            "witness/guide",
            steps,
            lambda done: self._reporter.progress("neighbourhood", done, steps, "steps"),
        )

    def _trained(self, stage: str, steps: int, on_step: Callable[[int], None]) -> OwnClassifier:
        dataset, generator = self._resources.dataset, numpy_generator(self._seed, stage)
        affordable = max(1, _REDRAWN_BYTES // (4 * math.prod(dataset.image_shape)))
        some = np.sort(generator.permutation(len(self._codes))[: min(_REDRAWN, affordable)])
        return train_own_classifier(
            dataset.train,
            dataset.train.labels,
            dataset.class_count,
            generator,
            self._resources.runtime.device,
            Effort(steps, _BATCH_SIZE),
            (self._resources.decoder(self._codes[some]), dataset.train.labels[some]),
            on_step,
        )

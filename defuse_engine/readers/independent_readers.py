"""Independent readers: networks of our own that never saw a reconstruction.

They fit the train split's labels on the originals alone, with augmentation, and take part in no loss. A
network that learns from blurred images, each with the label of its original, learns to read there what people
do not see. And a decoder that is trained against one classifier can learn to paint what that one wants to
see. So these are of several designs, one of which is blind to the fine patterns that fool networks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from defuse_engine.inputs.dataset import Dataset
from defuse_engine.models.device import Runtime
from defuse_engine.parallel import Tally, in_order
from defuse_engine.random_streams import numpy_generator
from defuse_engine.readers.own_classifier import (
    Design,
    OwnClassifier,
    reader_effort,
    train_own_classifier,
)
from defuse_engine.readers.readers_file import read_readers
from defuse_engine.types import Images

HELD_OUT = "held-out"
"""Their name in a `readers.npz`."""
_DESIGNS: tuple[Design, ...] = ("strided", "pooled", "low-pass")


class IndependentReaders:
    """Networks that are trained when they are first asked; the same for the same random seed and stage."""

    def __init__(
        self,
        dataset: Dataset,
        runtime: Runtime,
        random_seed: int,
        on_step: Callable[[int, int], None],
        stage: str = HELD_OUT,
        trained: Path | None = None,
    ):
        """`on_step(done, total)` gets the training steps of all; `stage` names their random streams.

        `trained` is a `readers.npz` that holds them.
        """
        self._dataset, self._runtime = dataset, runtime
        self._random_seed, self._on_step, self._stage = random_seed, on_step, stage
        self._trained = trained

    @cached_property
    def networks(self) -> tuple[OwnClassifier, ...]:
        """The networks, as they were trained, or trained side by side."""
        train, runtime = self._dataset.train, self._runtime
        if self._trained is not None:
            shape, classes = self._dataset.image_shape, self._dataset.class_count
            return read_readers(self._trained, HELD_OUT, len(_DESIGNS), shape, classes, runtime.device)
        effort = reader_effort(len(train))
        total = len(_DESIGNS) * effort.steps
        tally = Tally(lambda done: self._on_step(done, total))

        def trained(number: int) -> OwnClassifier:
            return train_own_classifier(
                train,
                train.labels,
                self._dataset.class_count,
                numpy_generator(self._random_seed, f"{self._stage}/{number}"),
                runtime.device,
                effort,
                on_step=tally.of(number),
                design=_DESIGNS[number],
                augment=True,
            )

        return tuple(in_order(trained, range(len(_DESIGNS)), runtime.at_once(), runtime.threads))

    def probabilities(self, images: Images) -> Float32[np.ndarray, "n k"]:
        """Return the probability of each class, averaged over the networks."""
        return np.stack([network.probabilities(images) for network in self.networks]).mean(axis=0)

"""Items of one split that stand in another too: what is measured on them was learned by heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from defuse_engine.dataset_checks.near_images import Indices, Near, NearImages
from defuse_engine.dataset_checks.same_images import Digests, same_images
from defuse_engine.inputs.dataset import Dataset
from defuse_engine.intervals import wilson
from defuse_engine.job_folder.contact_sheet import contact_sheet
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Described

_COMPARED: Final = (("validation", "train"), ("test", "train"), ("test", "validation"))
"""Each split with those that come before it."""
_SAMPLE: Final = 2000
"""Items of a split that near images are looked for: enough to tell 1% from 2%."""
_AMONG: Final = 60_000
_AMONG_VALUES: Final = 3 << 30
"""Items of a split that are compared with, and their values: seconds, however large the dataset."""
_NEAR_BY_CHANCE: Final = 0.01
"""Share of near images above which a warning is due. MNIST, and traffic signs split by track, have 0.4%."""
_SAME_BY_CHANCE: Final = 0.001
_SHOWN: Final = 6
"""Pairs of each kind on the sheet."""


@dataclass(frozen=True)
class Pair(Described):
    """Two items of different splits that show the same picture."""

    split: str
    index: int
    label: int
    other_split: str
    other_index: int
    other_label: int
    closeness: float
    """1 for the same pixels."""


@dataclass(frozen=True)
class Duplicates:
    """How many items of `split` stand in `other_split` too."""

    split: str
    other_split: str
    size: int
    """Items of `split`: all were looked for, bit for bit."""
    same_count: int
    sample_size: int
    """Items of `split`, none of them the same as one there, that a near image was looked for."""
    compared_size: int
    """Items of `other_split` that they were compared with."""
    near_count: int
    pairs: list[Pair]
    """A few examples."""

    def to_json(self) -> dict[str, str | int]:
        """Return the figures."""
        return {name: value for name, value in vars(self).items() if name != "pairs"}

    @property
    def flattering(self) -> bool:
        """Whether there are more than chance and a few stray copies explain."""
        near = wilson(self.near_count, self.sample_size)
        return near.lower > _NEAR_BY_CHANCE or self.same_count > _SAME_BY_CHANCE * self.size


def find_duplicates(dataset: Dataset, digests: Digests, random_seed: int) -> list[Duplicates]:
    """Compare the splits two by two.

    Same images are counted in full. Near images, of one class, are counted in random samples.
    """
    splits = dataset.named_splits
    rng = numpy_generator(random_seed, "duplicates")
    most = max(1, min(_AMONG, _AMONG_VALUES // int(np.prod(dataset.image_shape))))
    among = {name: _sample(np.arange(len(split)), most, rng) for name, split in splits.items()}
    near_images = NearImages(dataset.train, among["train"], dataset.class_count)
    found: list[Duplicates] = []
    for name, other in _COMPARED:
        split = splits[name]
        same = same_images(digests[name], digests[other])
        rest = np.setdiff1d(np.arange(len(split)), np.fromiter(same, np.int64, len(same)))
        items = _sample(rest, min(_SAMPLE, most), rng)
        if other == "train":
            near = near_images.in_train(split, items)
        else:
            near = near_images.between(split, items, splits[other], among[other])
        pairs = [
            Pair(name, i, int(split.labels[i]), other, j, int(splits[other].labels[j]), closeness)
            for i, j, closeness in [*_some_same(same), *_some_near(near)]
        ]
        figures = (len(split), len(same), len(items), len(among[other]), len(near.item))
        found.append(Duplicates(name, other, *figures, pairs))
    return found


def warn_of_duplicates(found: Sequence[Duplicates], reporter: Reporter) -> None:
    """Warn of splits that hold more of each other than chance explains."""
    flattering = [one for one in found if one.flattering]
    if flattering:
        reporter.warning(
            "DUPLICATES_ACROSS_SPLITS",
            f"{'; '.join(map(_told, flattering))}. Accuracy on such items flatters the classifier, which has "
            "seen them. Split by what items come from (track, patient, scene): all of one stays in one split",
        )


def duplicate_sheet(
    dataset: Dataset, pairs: Sequence[Pair], low: float, high: float, folder: Path
) -> dict[str, Any] | None:
    """Write a sheet of pairs, two tiles each, side by side; None if there is no pair."""
    if not pairs:
        return None
    splits = dataset.named_splits
    images = [
        splits[split].images(np.array([index]))
        for pair in pairs
        for split, index in ((pair.split, pair.index), (pair.other_split, pair.other_index))
    ]
    sheet = contact_sheet(np.concatenate(images), low, high, columns=min(6, len(images)))
    return sheet.write(folder, "output/sheets/duplicates.png")


def _told(found: Duplicates) -> str:
    told: list[str] = []
    if found.same_count:
        told.append(
            f"{found.same_count} of {found.size} {found.split} items are {found.other_split} items too"
        )
    if found.near_count:
        told.append(
            f"of a sample of {found.sample_size} {found.split} items, {found.near_count} nearly equal a "
            f"{found.other_split} item of their class"
        )
    return ", and ".join(told)


def _sample(items: Indices, most: int, rng: np.random.Generator) -> Indices:
    return np.sort(rng.permutation(items)[:most])


def _some_same(same: dict[int, int]) -> list[tuple[int, int, float]]:
    return [(index, other, 1.0) for index, other in list(same.items())[:_SHOWN]]


def _some_near(near: Near) -> list[tuple[int, int, float]]:
    """Return pairs from the nearest to the least near: the reader sees how far the measure goes."""
    order = np.argsort(-near.closeness, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).astype(int))
    rows = order[places] if len(order) else order
    return [(int(near.item[row]), int(near.twin[row]), float(near.closeness[row])) for row in rows]

"""Items of a dataset that show the same image under different labels: at least one label is wrong."""

from __future__ import annotations

import hashlib

from defuse_engine.inputs.dataset import Dataset
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.types import SPLIT_NAMES

_DIGEST_BYTES = 16
_MOST_NAMED = 5

_Item = tuple[str, int, int]
"""Split, index and label."""


def warn_of_contradictions(dataset: Dataset, reporter: Reporter) -> None:
    """Warn of images that occur twice, bit for bit, under two labels, in any splits."""
    pairs = _contradictions(dataset)
    if not pairs:
        return
    names = dataset.class_names
    named = (
        " and ".join(f"{split} {index} ({names[label] if names else label})" for split, index, label in pair)
        for pair in pairs[:_MOST_NAMED]
    )
    reporter.warning(
        "ITEMS_CONTRADICT",
        f"{len(pairs)} items show the very image of an earlier one that has another label "
        f"({'; '.join(named)}{'; ...' if len(pairs) > _MOST_NAMED else ''}). What the search finds around "
        "them may be no bug. Correct their labels, or remove them",
    )


def _contradictions(dataset: Dataset) -> list[tuple[_Item, _Item]]:
    """Return each item with the first one of the same pixels, if their labels differ."""
    first: dict[bytes, _Item] = {}
    pairs: list[tuple[_Item, _Item]] = []
    for name, split in zip(SPLIT_NAMES, dataset.splits, strict=True):
        for index, (image, label) in enumerate(zip(split.pixels, split.labels, strict=True)):
            item = (name, index, int(label))
            # A digest keeps a few bytes an item, however large the images.
            digest = hashlib.blake2b(image.tobytes(), digest_size=_DIGEST_BYTES).digest()
            earlier = first.setdefault(digest, item)
            if earlier[2] != item[2]:
                pairs.append((earlier, item))
    return pairs

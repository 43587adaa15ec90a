"""Images that occur more than once in a dataset, bit for bit: across its splits, or under two labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from defuse_engine.inputs.dataset import Dataset
from defuse_engine.job_folder.reporting import Reporter

_DIGEST_BYTES = 16
_MOST_NAMED = 5

Digests = Mapping[str, Sequence[bytes]]
"""Of each split, one digest an item."""

_Item = tuple[str, int, int]
"""Split, index and label."""


def image_digests(dataset: Dataset) -> Digests:
    """Return a digest of each item's pixels: a few bytes an item, however large the images."""
    return {
        name: [hashlib.blake2b(image.tobytes(), digest_size=_DIGEST_BYTES).digest() for image in split.pixels]
        for name, split in dataset.named_splits.items()
    }


def same_images(digests: Sequence[bytes], others: Sequence[bytes]) -> dict[int, int]:
    """Return the items of one split whose image occurs in another: index -> the first index there."""
    first = {digest: index for index, digest in reversed(list(enumerate(others)))}
    return {index: first[digest] for index, digest in enumerate(digests) if digest in first}


def warn_of_contradictions(dataset: Dataset, digests: Digests, reporter: Reporter) -> None:
    """Warn of images that occur twice under two labels, in any splits."""
    pairs = _contradictions(dataset, digests)
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


def _contradictions(dataset: Dataset, digests: Digests) -> list[tuple[_Item, _Item]]:
    """Return each item with the first one of the same pixels, if their labels differ."""
    first: dict[bytes, _Item] = {}
    pairs: list[tuple[_Item, _Item]] = []
    for name, split in dataset.named_splits.items():
        for index, (digest, label) in enumerate(zip(digests[name], split.labels, strict=True)):
            item = (name, index, int(label))
            earlier = first.setdefault(digest, item)
            if earlier[2] != item[2]:
                pairs.append((earlier, item))
    return pairs

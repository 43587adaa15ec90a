"""Bugs of an audit or a region split, with their harm and their sheets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from defuse_engine.regions.bugs import Bug
from defuse_engine.regions.gallery import Gallery
from defuse_engine.regions.harm import Misread, harms
from defuse_engine.regions.rated_regions import RatedRegion
from defuse_engine.types import Misclassifications


def describe_bugs(
    gallery: Gallery,
    misread: Misread,
    bugs: Sequence[Bug],
    regions: Sequence[RatedRegion],
    found: Misclassifications,
    *,
    numbers: Sequence[int],
    first: int = 0,
    others: Sequence[Int64[np.ndarray, " _"]] = (),
) -> list[dict[str, Any]]:
    """Write the bugs' sheets; return them as `result.json` has them, the largest harm first.

    `regions` are those that the bugs' cells count, and `numbers` are theirs. Bugs are numbered from `first`.
    `others` are the members of regions of other bugs, which have their share of the misread inputs.
    """
    members = [np.concatenate([regions[cell].region.members for cell in bug.cells]) for bug in bugs]
    harm = harms(misread, found, [*others, *members])
    total = sum(one.value for one in harm)
    # The sort is stable: equal harm keeps the order of the cells.
    own = harm[len(others) :]
    order = np.argsort([-one.value for one in own], kind="stable").tolist()
    described: list[dict[str, Any]] = []
    for index, place in enumerate(order, start=first):
        cells = bugs[place].cells[np.argsort([-regions[cell].harm.value for cell in bugs[place].cells])]
        described.append(
            gallery.describe_bug(
                index,
                bugs[place],
                [numbers[int(cell)] for cell in cells],
                [regions[int(cell)] for cell in cells],
                found,
                own[place],
                own[place].value / total,
            )
        )
    return described

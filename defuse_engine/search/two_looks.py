"""Two looks at an image: as it is, and blurred, as people see it from afar.

The search looks for inputs that convince the readers. Many of those that it finds lie between two classes,
and convince them by a detail: a gap in a stroke, a grey smear where a tail would be. People are not
convinced. What an image plainly shows it still shows from a few steps away. So the look that says less for
the seed's label, and more for the predicted class, counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from defuse_engine.readers.low_pass import LowPass
from defuse_engine.types import Images, Labels

Read = Callable[[Images], Float32[np.ndarray, "n k"]]
"""Gives the probability of each class in images (n, C, H, W)."""
_SIDE_SHARES = (0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1)
"""Standard deviations of the blurs that are tried, over the image's longer side."""
_STILL_READ = 0.97
"""Share of what the readers get right that they must still get right from afar."""
_ITEMS = 2_000
_BATCH = 256


@dataclass(frozen=True)
class Looks:
    """What the readers see in images; row i of both arrays is the same image."""

    least: Float32[np.ndarray, "n k"]
    """Probability of each class, in the look that gives it less."""
    most: Float32[np.ndarray, "n k"]
    """Probability of each class, in the look that gives it more."""


def look_twice(read: Read, images: Images, blur: LowPass | None) -> Looks:
    """Let `read` look at images (n, C, H, W) as they are, and behind `blur`; without one, once."""
    near = read(images)
    if blur is None:
        return Looks(near, near)
    far = _from_afar(read, images, blur)
    return Looks(np.minimum(near, far), np.maximum(near, far))


def strongest_blur(read: Read, images: Images, labels: Labels) -> LowPass | None:
    """Return the strongest blur through which `read` still sees what images (n, C, H, W) show.

    `labels` (n,) are what people see in them. None if even the weakest blur takes too much away.
    """
    images, labels = images[:_ITEMS], labels[:_ITEMS]
    right = read(images).argmax(axis=1) == labels
    images, labels = images[right], labels[right]
    strongest: LowPass | None = None
    for side_share in _SIDE_SHARES if right.any() else ():
        blur = LowPass(images.shape[2], images.shape[3], side_share)
        still = _from_afar(read, images, blur).argmax(axis=1) == labels
        if still.mean() < _STILL_READ:
            break
        strongest = blur
    return strongest


def _from_afar(read: Read, images: Images, blur: LowPass) -> Float32[np.ndarray, "n k"]:
    # In batches, because there may be no room for a second copy of all images.
    parts = np.split(images, range(_BATCH, len(images), _BATCH))
    return np.concatenate([read(blur(torch.from_numpy(part)).numpy()) for part in parts])

"""Images as what they show: trimmed of plain edges, shrunk, and brought to one brightness and contrast."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from defuse_engine.inputs.dataset import Split
from defuse_engine.types import Images

_SIDE = 12
"""Pixels that an image is shrunk to: enough to tell handwriting apart, and few enough to forgive noise."""
_LARGE_SIDE = 32
"""Images of twice this side and more are averaged in blocks first, which is quicker."""
_PLAIN = 0.25
"""An edge row whose deviation is below this share of the whole image's is plain."""
_BLOCK_VALUES = 1 << 22

_Edges = Int64[np.ndarray, " n"]


def shrunk_images(split: Split, items: Int64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
    """Return the images at `items` as rows of mean 0 and deviation 1, up to 12 x 12 pixels a channel."""
    _, channels, height, width = split.pixels.shape
    block = max(1, _BLOCK_VALUES // (channels * height * width))
    starts = range(0, len(items), block)
    return np.concatenate([_shrunk(split.pixels[items[start : start + block]]) for start in starts])


def _shrunk(pixels: np.ndarray) -> Float32[np.ndarray, "n d"]:
    images = _block_means(pixels)
    if images.shape[1] > 3:
        images = images.mean(axis=1, keepdims=True)
    # Contrast is what counts, and the squares of huge values would overflow.
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    images = images / np.maximum(largest, np.finfo(np.float32).tiny)
    height, width = images.shape[2:]
    for axis, (start, end) in zip((2, 3), _boxes(images), strict=True):
        images = _averaged(images, start, end, min(_SIDE, height, width), axis)
    rows = images.reshape(len(images), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(rows.std(axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _block_means(pixels: np.ndarray) -> Images:
    count, channels, height, width = pixels.shape
    side = min(height, width) // _LARGE_SIDE
    if side < 2:
        return pixels.astype(np.float32)
    whole = pixels[:, :, : height - height % side, : width - width % side]
    blocks = whole.reshape(count, channels, height // side, side, width // side, side)
    return blocks.mean(axis=(3, 5), dtype=np.float32)


def _boxes(images: Images) -> tuple[tuple[_Edges, _Edges], tuple[_Edges, _Edges]]:
    """Return where each image starts and ends without its plain edges, along height and width.

    The box is square if the image has room for that: a stretched picture would be another one.
    """
    bar = _PLAIN * images.std(axis=(1, 2, 3))[:, None]
    ends = [_ends(images.std(axis=axis).max(axis=1) > bar) for axis in (3, 2)]
    side = np.maximum(*(end - start for start, end in ends))
    grown: list[tuple[_Edges, _Edges]] = []
    for (start, end), length in zip(ends, images.shape[2:], strict=True):
        size = np.minimum(side, length)
        first = np.clip(start - (size - (end - start)) // 2, 0, length - size)
        grown.append((first, first + size))
    return grown[0], grown[1]


def _ends(busy: np.ndarray) -> tuple[_Edges, _Edges]:
    """Return the first and the last but one of the rows (n, L) that are busy; of none, all rows."""
    length, some = busy.shape[1], busy.any(axis=1)
    start = np.where(some, busy.argmax(axis=1), 0)
    end = np.where(some, length - busy[:, ::-1].argmax(axis=1), length)
    return start.astype(np.int64), end.astype(np.int64)


def _averaged(
    images: Images, start: _Edges, end: _Edges, size: int, axis: int
) -> Float32[np.ndarray, "n c _ _"]:
    """Average each image from `start` to `end` along an axis into `size` equal parts."""
    moved = np.moveaxis(images, axis, 1)
    count, length = moved.shape[:2]
    sums = np.zeros((count, length + 1, *moved.shape[2:]), np.float32)
    np.cumsum(moved, axis=1, out=sums[:, 1:])
    step = (end - start)[:, None] / size
    cuts = start[:, None] + step * np.arange(size + 1)
    whole = np.minimum(cuts.astype(np.int64), length - 1)
    rest = (cuts - whole).astype(np.float32)[:, :, None, None]
    rows = np.arange(count)[:, None]
    below = sums[rows, whole]
    parts = np.diff(below + rest * (sums[rows, whole + 1] - below), axis=1)
    return np.moveaxis(parts / step.astype(np.float32)[:, :, None, None], 1, axis)

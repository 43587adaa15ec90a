"""Contact sheets: many small images in one PNG for people to look at, and as an array for programs."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from defuse_engine.job_folder.output_files import write_whole
from defuse_engine.types import Images

_LEAST_SIDE_PX = 56
_MARGIN_PX = 2
_BACKGROUND = 128
_COMPRESSION = 1
"""Half the time of the usual level, for a quarter more bytes: an audit writes thousands of sheets."""


@dataclass(frozen=True)
class ContactSheet:
    """A sheet's bytes and its grid: image i lies in row i // columns, column i % columns."""

    png: bytes
    samples: UInt8[np.ndarray, "n h w channels"]
    """The images alone, in their own size; one channel is grey, three are colour."""
    columns: int
    rows: int
    tile_width: int
    tile_height: int
    count: int
    frame: int
    """Width of the grey frame on each side of a tile, in pixels."""
    zoom: int
    """Pixels of the sheet that a pixel of an image is wide and high."""

    def write(self, folder: Path, file: str) -> dict[str, str | int]:
        """Write the PNG to `folder / file` and the array beside it; return the sheet as in `result.json`."""
        samples_file = str(Path(file).with_suffix(".npy"))
        write_whole(folder / file, lambda stream: stream.write(self.png))
        write_whole(folder / samples_file, lambda stream: np.save(stream, self.samples, allow_pickle=False))
        grid = {name: value for name, value in vars(self).items() if name not in ("png", "samples")}
        return {"file": file, "samples_file": samples_file, **grid}


def contact_sheet(images: Images, low: float, high: float, columns: int | None = None) -> ContactSheet:
    """Lay out at least one image (n, C, H, W) row by row; `low` is black, `high` is white.

    Three channels are shown in colour, any other number as the grey of their mean. Small images grow by a
    whole factor: an annotator sees the pixels that the classifier saw. Without `columns` the grid is
    near-square.
    """
    if len(images) == 0:
        raise ValueError("a contact sheet needs at least one image, got none")
    samples = to_bytes(images, low, high)
    factor = max(1, math.ceil(_LEAST_SIDE_PX / min(samples.shape[1:3])))
    pixels = samples.repeat(factor, axis=1).repeat(factor, axis=2)
    margin = ((0, 0), (_MARGIN_PX, _MARGIN_PX), (_MARGIN_PX, _MARGIN_PX), (0, 0))
    tiles = np.pad(pixels, margin, constant_values=_BACKGROUND)
    count, height, width, channels = tiles.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    grid = np.full((rows * columns, height, width, channels), _BACKGROUND, np.uint8)
    grid[:count] = tiles
    sheet = grid.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    sheet = sheet.reshape(rows * height, columns * width, channels)
    return ContactSheet(as_png(sheet), samples, columns, rows, width, height, count, _MARGIN_PX, factor)


def to_bytes(images: Images, low: float, high: float) -> UInt8[np.ndarray, "n h w samples"]:
    """Return images (n, C, H, W) as people see them: `low` is black, `high` is white.

    Three channels are shown in colour, any other number as the grey of their mean.
    """
    if images.shape[1] != 3:
        images = images.mean(axis=1, keepdims=True)
    span = high - low if high > low else 1.0
    scaled = np.clip((images.astype(np.float64) - low) / span, 0.0, 1.0)
    return np.rint(scaled * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def as_png(sheet: np.ndarray) -> bytes:
    """Return the file of a picture (height, width, 1 or 3), uint8."""
    stream = io.BytesIO()
    image = Image.fromarray(sheet if sheet.shape[2] == 3 else sheet[:, :, 0])
    image.save(stream, format="PNG", compress_level=_COMPRESSION)
    return stream.getvalue()

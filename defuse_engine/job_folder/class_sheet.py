"""A sheet of a dataset's classes for people to look at: a row of images a class, with its number and name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from defuse_engine.job_folder.contact_sheet import as_png, to_bytes
from defuse_engine.types import Images

_SIDE_PX = 56
_LARGEST_SIDE_PX = 112
_GAP_PX = 4
_FONT_PX = 16
_LONGEST_NAME_PX = 220
_PAPER, _INK = 255, 24


@dataclass(frozen=True)
class ClassRow:
    """One row of the sheet."""

    title: str
    images: Images
    """At least one image (n, C, H, W), from left to right."""


@dataclass(frozen=True)
class ClassSheet:
    """A PNG and its size in pixels."""

    png: bytes
    width: int
    height: int


def class_sheet(rows: Sequence[ClassRow], low: float, high: float) -> ClassSheet:
    """Draw at least one row; `low` is black, `high` is white. Small images grow, large ones shrink."""
    font = ImageFont.load_default(_FONT_PX)
    titles = [_cut(row.title, font) for row in rows]
    left = 2 * _GAP_PX + math.ceil(max(font.getlength(title) for title in titles))
    tiles = [_tiles(row.images, low, high) for row in rows]
    side_y, side_x, channels = tiles[0].shape[1:]
    width = left + max(len(some) for some in tiles) * (side_x + _GAP_PX)
    height = _GAP_PX + len(rows) * (side_y + _GAP_PX)
    sheet = np.full((height, width, channels), _PAPER, np.uint8)
    tops = [_GAP_PX + place * (side_y + _GAP_PX) for place in range(len(rows))]
    for some, top in zip(tiles, tops, strict=True):
        for place, tile in enumerate(some):
            start = left + place * (side_x + _GAP_PX)
            sheet[top : top + side_y, start : start + side_x] = tile
    for title, top in zip(titles, tops, strict=True):
        sheet[top : top + side_y, :left] = _written(title, font, left, side_y)[:, :, None]
    return ClassSheet(as_png(sheet), width, height)


def _cut(title: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return a title that is not too wide, on one line."""
    line = " ".join(title.split())
    if font.getlength(line) <= _LONGEST_NAME_PX:
        return line
    while font.getlength(line + "...") > _LONGEST_NAME_PX:
        line = line[:-1]
    return line + "..."


def _tiles(images: Images, low: float, high: float) -> UInt8[np.ndarray, "n _ _ _"]:
    pixels = to_bytes(images, low, high)
    factor = max(1, math.ceil(_SIDE_PX / min(pixels.shape[1:3])))
    shrink = max(1, math.ceil(max(pixels.shape[1:3]) / _LARGEST_SIDE_PX))
    if shrink == 1:
        return pixels.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = (max(1, length // shrink) for length in pixels.shape[1:3])
    trimmed = [Image.fromarray(tile if tile.shape[2] == 3 else tile[:, :, 0]) for tile in pixels]
    small = [np.asarray(tile.resize((width, height), Image.Resampling.BOX)) for tile in trimmed]
    return np.stack(small).reshape(len(small), height, width, pixels.shape[3])


def _written(
    title: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int, height: int
) -> UInt8[np.ndarray, "h w"]:
    label = Image.new("L", (width, height), _PAPER)
    ImageDraw.Draw(label).text((_GAP_PX, (height - _FONT_PX) // 2), title, fill=_INK, font=font)
    return np.asarray(label)

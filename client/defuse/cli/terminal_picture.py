"""Draws a picture in the terminal with half blocks: two pixels a character, in 24-bit colour."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from rich.color import Color
from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

from defuse.cli.png import NotReadable, Picture, read_png, shrunk

_UPPER_HALF = "\N{UPPER HALF BLOCK}"


def can_draw(console: Console) -> bool:
    """Tell whether it is a terminal with Unicode and colours, and NO_COLOR does not forbid them."""
    return (
        console.is_terminal
        and console.color_system is not None
        and not console.no_color
        and codecs.lookup(console.encoding).name == "utf-8"
    )


def draw(console: Console, path: Path) -> bool:
    """Draw a contact sheet as wide as the terminal allows. Return False if that is not possible."""
    if not can_draw(console):
        return False
    try:
        picture = read_png(path.read_bytes())
    except NotReadable:
        return False
    console.print(Segments(_segments(shrunk(picture, console.width))), end="")
    return True


def _segments(picture: Picture) -> Iterator[Segment]:
    for top in range(0, picture.height, 2):
        for column in range(picture.width):
            upper, lower = _colour(picture, top, column), _colour(picture, top + 1, column)
            yield Segment(_UPPER_HALF, Style(color=upper, bgcolor=lower))
        yield Segment.line()


def _colour(picture: Picture, row: int, column: int) -> Color | None:
    if row >= picture.height:
        return None
    first = column * picture.channels
    pixel = picture.rows[row][first : first + picture.channels]
    red, green, blue = pixel if picture.channels == 3 else pixel * 3
    return Color.from_rgb(red, green, blue)

"""Reads the only kind of PNG that contact sheets have: 8 bits, grey or RGB, not interlaced."""

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3}
PIXELS_MAX = 16_000_000
"""Contact sheets have fewer, and more would take long to read."""


class NotReadable(Exception):
    """The file is not a PNG of this kind, or it is broken; the message says which."""


@dataclass(frozen=True)
class Picture:
    """Pixels row by row; a row is `width * channels` bytes, 1 channel (grey) or 3 (RGB)."""

    width: int
    height: int
    channels: int
    rows: list[bytes]


def read_png(data: bytes) -> Picture:
    """Return the picture. Raises `NotReadable`."""
    if not data.startswith(_SIGNATURE):
        raise NotReadable("expected a PNG, got another file")
    try:
        chunks = _chunks(data)
        width, height, depth, colour, compression, method, interlace = struct.unpack(
            ">IIBBBBB", chunks.get(b"IHDR", b"")
        )
    except struct.error:
        raise NotReadable("the PNG is broken") from None
    channels = _CHANNELS.get(colour)
    if channels is None or (depth, compression, method, interlace) != (8, 0, 0, 0):
        raise NotReadable("expected a PNG of 8-bit grey or RGB, got another kind")
    if not 0 < width * height <= PIXELS_MAX:
        raise NotReadable(f"expected at most {PIXELS_MAX} pixels, got {width} x {height}")
    return Picture(width, height, channels, _rows(chunks.get(b"IDAT", b""), width, height, channels))


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """Return the content of the chunks by their type; chunks of one type are joined."""
    chunks: dict[bytes, bytes] = {}
    position = len(_SIGNATURE)
    while position < len(data) and b"IEND" not in chunks:
        length, kind = struct.unpack_from(">I4s", data, position)
        chunks[kind] = chunks.get(kind, b"") + data[position + 8 : position + 8 + length]
        position += length + 12
    return chunks


def _rows(packed: bytes, width: int, height: int, channels: int) -> list[bytes]:
    stride = width * channels + 1
    unpacker = zlib.decompressobj()
    try:
        # Bounded: a small file may unpack to any size.
        raw = unpacker.decompress(packed, stride * height)
    except zlib.error:
        raise NotReadable("the PNG is broken") from None
    if len(raw) != stride * height:
        raise NotReadable("expected a whole PNG, got one that is cut off")
    rows = [bytes(width * channels)]
    for start in range(0, len(raw), stride):
        line = bytearray(raw[start + 1 : start + stride])
        rows.append(_unfiltered(raw[start], line, rows[-1], channels))
    return rows[1:]


def _unfiltered(filter_type: int, line: bytearray, above: bytes, step: int) -> bytes:
    """Undo a row's filter (PNG specification, section 9); the pixel to the left is `step` bytes before."""
    match filter_type:
        case 0:
            pass
        case 1:
            for i in range(step, len(line)):
                line[i] = (line[i] + line[i - step]) & 255
        case 2:
            return bytes([(value + up) & 255 for value, up in zip(line, above, strict=True)])
        case 3:
            for i, up in enumerate(above):
                left = line[i - step] if i >= step else 0
                line[i] = (line[i] + (left + up) // 2) & 255
        case 4:
            for i, up in enumerate(above):
                left, corner = (line[i - step], above[i - step]) if i >= step else (0, 0)
                line[i] = (line[i] + _paeth(left, up, corner)) & 255
        case _:
            raise NotReadable("the PNG is broken")
    return bytes(line)


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    distances = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
    if distances[0] <= distances[1] and distances[0] <= distances[2]:
        return left
    return up if distances[1] <= distances[2] else corner


def shrunk(picture: Picture, width: int) -> Picture:
    """Return the picture at most `width` pixels wide; each pixel is the mean of those that it replaces."""
    if width >= picture.width:
        return picture
    height = max(1, round(picture.height * width / picture.width))
    columns = list(pairwise(position * picture.width // width for position in range(width + 1)))
    bands = pairwise(position * picture.height // height for position in range(height + 1))
    rows = [_mean_row(picture.rows[first:last], columns, picture.channels) for first, last in bands]
    return Picture(width, height, picture.channels, rows)


def _mean_row(rows: list[bytes], columns: list[tuple[int, int]], channels: int) -> bytes:
    # By channel and column first: sums of slices are the fast part of Python.
    sums = [sum(values) for values in zip(*rows, strict=True)]
    return bytes(
        sum(sums[channels * first + channel : channels * last : channels]) // ((last - first) * len(rows))
        for first, last in columns
        for channel in range(channels)
    )

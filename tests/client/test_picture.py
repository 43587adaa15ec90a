"""Contact sheets drawn in the terminal."""

import io
import os
import pty
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from defuse.cli.picture import draw
from defuse.cli.png import NotReadable, read_png, shrunk
from PIL import Image
from rich.console import Console

from defuse_engine.job_folder.contact_sheet import contact_sheet

RANDOM = np.random.default_rng(3)


def png(pixels: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def by_hand(filters: list[int], lines: list[bytes], width: int, channels: int, header: bytes = b"") -> bytes:
    """A PNG whose rows say which filter they have."""
    header = header or struct.pack(">IIBBBBB", width, len(lines), 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    raw = b"".join(bytes([kind]) + line for kind, line in zip(filters, lines, strict=True))
    packed = zlib.compress(raw)
    # In two chunks, as large pictures are.
    parts = chunk(b"IDAT", packed[:5]) + chunk(b"IDAT", packed[5:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + parts + chunk(b"IEND", b"")


def array(data: bytes) -> np.ndarray:
    picture = read_png(data)
    pixels = np.frombuffer(b"".join(picture.rows), np.uint8)
    return pixels.reshape(picture.height, picture.width, picture.channels).squeeze()


@pytest.mark.parametrize("channels", [1, 3])
def test_contact_sheets_are_read_as_they_were_written(channels):
    images = RANDOM.random((7, channels, 28, 28)).astype(np.float32)
    data = contact_sheet(images, 0.0, 1.0).png
    assert np.array_equal(array(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("channels", [1, 3])
def test_every_filter_is_undone(channels):
    lines = [RANDOM.integers(0, 256, 11 * channels, np.uint8).tobytes() for _ in range(10)]
    data = by_hand([0, 1, 2, 3, 4, 4, 3, 2, 1, 0], lines, 11, channels)
    assert np.array_equal(array(data), np.asarray(Image.open(io.BytesIO(data))))


def test_other_pictures_are_refused():
    grey = png(np.zeros((4, 4), np.uint8))
    line = bytes(4)
    ihdr = struct.pack
    for data in (
        b"",
        b"\xff\xd8\xff a JPEG",
        grey[:20],
        grey[:-30],
        png(np.zeros((4, 4, 4), np.uint8)),
        by_hand([9], [line], 4, 1),
        by_hand([0], [line[:2]], 4, 1),
        by_hand([0], [line], 4, 1, ihdr(">IIBBBBB", 4, 1, 16, 0, 0, 0, 0)),
        by_hand([0], [line], 4, 1, ihdr(">IIBBBBB", 4, 1, 8, 0, 0, 0, 1)),
        by_hand([0], [line], 4, 1, ihdr(">IIBBBBB", 0, 1, 8, 0, 0, 0, 0)),
        by_hand([0], [line], 4, 1, ihdr(">IIBBBBB", 2**31, 2**31, 8, 0, 0, 0, 0)),
    ):
        with pytest.raises(NotReadable):
            read_png(data)


def test_a_smaller_picture_has_the_means():
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:2, :3] = (200, 100, 50)
    pixels[2:, 3:] = (0, 0, 90)
    picture = shrunk(read_png(png(pixels)), 2)
    assert (picture.width, picture.height) == (2, 1)
    assert list(picture.rows[0]) == [100, 50, 25, 0, 0, 45]
    whole = read_png(png(pixels))
    assert shrunk(whole, 6) is whole
    assert shrunk(whole, 600) is whole


def drawn(path, **options) -> tuple[bool, str]:
    text = io.TextIOWrapper(io.BytesIO(), encoding=options.pop("encoding", "utf-8"))
    settings = {"force_terminal": True, "color_system": "truecolor", "width": 40, "_environ": {}, **options}
    console = Console(file=text, **settings)
    done = draw(console, path)
    text.seek(0)
    return done, text.read()


def test_two_rows_of_pixels_are_one_of_text(tmp_path):
    path = tmp_path / "sheet.png"
    pixels = np.zeros((3, 2, 3), np.uint8)
    pixels[0, 0], pixels[1, 0], pixels[2, 1] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    path.write_bytes(png(pixels))
    done, text = drawn(path)
    assert done
    lines = text.splitlines()
    assert [line.count("▀") for line in lines] == [2, 2]
    assert "\x1b[38;2;255;0;0;48;2;0;255;0m▀" in lines[0]
    assert "\x1b[38;2;0;0;255m▀" in lines[1]


def test_a_picture_is_as_wide_as_the_terminal_at_most(tmp_path):
    path = tmp_path / "sheet.png"
    path.write_bytes(png(RANDOM.integers(0, 256, (100, 200), np.uint8)))
    for width in (40, 81):
        _, text = drawn(path, width=width)
        assert {line.count("▀") for line in text.splitlines()} == {width}


def test_where_nothing_can_be_drawn(tmp_path):
    path = tmp_path / "sheet.png"
    path.write_bytes(png(np.zeros((4, 4), np.uint8)))
    assert drawn(path, no_color=True) == (False, "")
    assert drawn(path, force_terminal=False) == (False, "")
    assert drawn(path, color_system=None) == (False, "")
    assert drawn(path, encoding="latin-1") == (False, "")
    path.write_bytes(b"\x89PNG of nothing")
    assert drawn(path) == (False, "")


class Terminal:
    """`defuse` whose errors go to a terminal of 60 columns."""

    def __init__(self, server, *arguments, **environment):
        self._ours, theirs = pty.openpty()
        settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "60"}
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from defuse.cli import main; main()", *arguments],
            env={**inherited, "DEFUSE_ADDRESS": server.address, **settings, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
        )
        os.close(theirs)

    def run(self, answers: str) -> str:
        self._process.stdin.write(answers)
        self._process.stdin.close()
        shown = b""
        # Linux ends a terminal whose other side is closed with an error.
        try:
            while data := os.read(self._ours, 65536):
                shown += data
        except OSError:
            pass
        os.close(self._ours)
        self._process.stdout.close()
        assert self._process.wait(20) == 0, shown.decode()
        return shown.decode()


def test_the_annotator_sees_the_sheet_in_the_terminal(server, labeling):
    sheet = contact_sheet(RANDOM.random((4, 1, 28, 28)).astype(np.float32), 0.0, 1.0).png
    answers = labeling(server, 2, sheet).answers
    shown = Terminal(server, "label", "audits/a").run("0\n1\n")
    assert answers == {0: "label: 0", 1: "label: 1"}
    rows = [line for line in shown.splitlines() if "▀" in line]
    assert {line.count("▀") for line in rows} == {60}
    assert len(rows) == 2 * 30
    assert re.search(r"audits/a/regions/0: 4 samples in \S+\.png", shown)


def test_no_color_shows_the_path_alone(server, labeling):
    sheet = contact_sheet(RANDOM.random((4, 1, 28, 28)).astype(np.float32), 0.0, 1.0).png
    labeling(server, 1, sheet)
    shown = Terminal(server, "label", "audits/a", NO_COLOR="1").run("0\n")
    assert "▀" not in shown
    assert re.search(r"4 samples in \S+\.png", shown)

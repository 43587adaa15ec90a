"""Contact sheets drawn in the terminal."""

import contextlib
import io
import os
import pty
import re
import struct
import subprocess
import zlib

import numpy as np
import pytest
from defuse.cli.png import NotReadable, read_png, shrunk
from defuse.cli.terminal_picture import draw
from PIL import Image
from rich.console import Console

from defuse_engine.job_folder.contact_sheet import contact_sheet
from tests.client.cli.fake_labeling import Labeling

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


GREY = png(np.zeros((4, 4), np.uint8))
HEADER = ">IIBBBBB"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff a JPEG",
        GREY[:20],
        GREY[:-30],
        png(np.zeros((4, 4, 4), np.uint8)),
        by_hand([9], [bytes(4)], 4, 1),
        by_hand([0], [bytes(2)], 4, 1),
        by_hand([0], [bytes(4)], 4, 1, struct.pack(HEADER, 4, 1, 16, 0, 0, 0, 0)),
        by_hand([0], [bytes(4)], 4, 1, struct.pack(HEADER, 4, 1, 8, 0, 0, 0, 1)),
        by_hand([0], [bytes(4)], 4, 1, struct.pack(HEADER, 0, 1, 8, 0, 0, 0, 0)),
        by_hand([0], [bytes(4)], 4, 1, struct.pack(HEADER, 2**31, 2**31, 8, 0, 0, 0, 0)),
    ],
    ids=["empty", "jpeg", "cut", "short", "rgba", "filter", "line", "16-bit", "interlaced", "0-wide", "huge"],
)
def test_other_pictures_are_refused(data):
    with pytest.raises(NotReadable):
        read_png(data)


def test_a_smaller_picture_has_the_means():
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:2, :3] = (200, 100, 50)
    pixels[2:, 3:] = (0, 0, 90)
    picture = shrunk(read_png(png(pixels)), 2)
    assert (picture.width, picture.height) == (2, 1)
    assert list(picture.rows[0]) == [100, 50, 25, 0, 0, 45]


@pytest.mark.parametrize("width", [4, 600])
def test_a_picture_that_fits_stays_as_it_is(width):
    whole = read_png(GREY)
    assert shrunk(whole, width) is whole


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


@pytest.mark.parametrize("width", [40, 81])
def test_a_picture_is_as_wide_as_the_terminal_at_most(tmp_path, width):
    path = tmp_path / "sheet.png"
    path.write_bytes(png(RANDOM.integers(0, 256, (100, 200), np.uint8)))
    _, text = drawn(path, width=width)
    assert {line.count("▀") for line in text.splitlines()} == {width}


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (GREY, {"no_color": True}),
        (GREY, {"force_terminal": False}),
        (GREY, {"color_system": None}),
        (GREY, {"encoding": "latin-1"}),
        (b"\x89PNG of nothing", {}),
    ],
)
def test_where_nothing_can_be_drawn_nothing_is_written(tmp_path, data, options):
    path = tmp_path / "sheet.png"
    path.write_bytes(data)
    assert drawn(path, **options) == (False, "")


@pytest.fixture
def at_a_terminal(start_process):
    """Run `defuse` with its stderr at a terminal of 60 columns; return what it shows there."""

    def run(*arguments, answers, **environment):
        ours, theirs = pty.openpty()
        settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "60", **environment}
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": theirs}
        process = start_process(*arguments, env={**inherited, **settings}, **pipes)
        os.close(theirs)
        process.stdin.write(answers)
        process.stdin.close()
        shown = b""
        # Linux ends a terminal whose other side is closed with an error.
        with contextlib.suppress(OSError):
            while data := os.read(ours, 65536):
                shown += data
        os.close(ours)
        process.stdout.close()
        assert process.wait(20) == 0, shown.decode()
        return shown.decode()

    return run


@pytest.fixture
def sheet() -> bytes:
    return contact_sheet(RANDOM.random((4, 1, 28, 28)).astype(np.float32), 0.0, 1.0).png


def test_the_annotator_sees_the_sheet_in_the_terminal(at_a_terminal, server, sheet):
    Labeling(server, 1, sheet)
    shown = at_a_terminal("label", "audits/a", answers="0\n")
    rows = [line for line in shown.splitlines() if "▀" in line]
    assert {line.count("▀") for line in rows} == {60}
    assert len(rows) == 30
    assert re.search(r"audits/a/regions/0: 4 samples in \S+\.png", shown)


def test_no_color_shows_the_path_alone(at_a_terminal, server, sheet):
    Labeling(server, 1, sheet)
    shown = at_a_terminal("label", "audits/a", answers="0\n", NO_COLOR="1")
    assert "▀" not in shown
    assert re.search(r"4 samples in \S+\.png", shown)

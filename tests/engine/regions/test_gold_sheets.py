"""Gold sheets show validation items of one class as if they were a region's samples."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from defuse_engine.job_folder.contact_sheet import contact_sheet


def tiles_of(folder: Path, sheet) -> list[bytes]:
    """The pixels of each tile of a sheet."""
    height, width = sheet["tile_height"], sheet["tile_width"]
    with Image.open(folder / sheet["file"]) as picture:
        corners = [divmod(index, sheet["columns"]) for index in range(sheet["count"])]
        boxes = [(c * width, r * height, (c + 1) * width, (r + 1) * height) for r, c in corners]
        return [picture.crop(box).tobytes() for box in boxes]


def tile(item, low, high) -> bytes:
    """The pixels of a sheet of one item."""
    with Image.open(io.BytesIO(contact_sheet(item[None], low, high).png)) as picture:
        return picture.tobytes()


def test_gold_sheets_show_validation_items_of_one_class(make_job, do_job):
    folder = make_job(config={"gold_sheets": 2, "sheet_samples": 4})
    gold = do_job(folder)["gold"]
    assert [one["label"] for one in gold] == [0, 0, 1, 1]
    with np.load(folder / "inputs/dataset.npz") as data:
        images, labels, train = data["x_validation"], data["y_validation"], data["x_train"]
    low, high = float(train.min()), float(train.max())
    for one in gold:
        assert one["sheet"]["count"] == one["nearest_sheet"]["count"] == 4
        # Every tile is an item of the class, to the last pixel, and they differ.
        known = {tile(item, low, high) for item in images[labels == one["label"]]}
        tiles = tiles_of(folder, one["sheet"])
        assert set(tiles) <= known
        assert len(set(tiles)) > 1
        assert tiles_of(folder, one["nearest_sheet"])


def test_without_being_asked_for_there_are_no_gold_sheets(make_job, do_job):
    folder = make_job()
    assert do_job(folder)["gold"] == []
    assert not list((folder / "output/sheets").glob("gold*"))

"""Items of a dataset's classes on a sheet, to see that labels and images are what they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from defuse_engine.inputs.dataset import Dataset
from defuse_engine.job_folder.class_sheet import ClassRow, class_sheet
from defuse_engine.job_folder.output_files import write_whole
from defuse_engine.random_streams import numpy_generator

_FILE: Final = "output/sheets/classes.png"
_ROWS: Final = 50
_COLUMNS: Final = 10


def write_class_sheet(
    dataset: Dataset, low: float, high: float, random_seed: int, folder: Path
) -> dict[str, Any]:
    """Draw random train items, a row for each class that has some, or for 50 classes spread over all.

    Returns the file, its width and height in pixels, and the labels of its rows.
    """
    labels = np.unique(dataset.train.labels)
    if len(labels) > _ROWS:
        labels = labels[np.linspace(0, len(labels) - 1, _ROWS).astype(int)]
    rng = numpy_generator(random_seed, "class-sheet")
    rows: list[ClassRow] = []
    for label in labels:
        # At random: neighbours in a file may be frames of one track.
        items = np.sort(rng.permutation(np.flatnonzero(dataset.train.labels == label))[:_COLUMNS])
        name = dataset.class_names[label] if dataset.class_names else str(label)
        title = name if name == str(label) else f"{label}: {name}"
        rows.append(ClassRow(title, dataset.train.images(items)))
    sheet = class_sheet(rows, low, high)
    write_whole(folder / _FILE, lambda stream: stream.write(sheet.png))
    return {"file": _FILE, "width": sheet.width, "height": sheet.height, "labels": labels.tolist()}

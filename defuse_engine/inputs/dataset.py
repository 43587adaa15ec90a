"""The labeled dataset, split train / validation / test. It is read strictly, and kept as it is stored."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import Bool

from defuse_engine.errors import InvalidDataset, Reason
from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.models.preprocessing import ImageShape
from defuse_engine.types import SPLIT_NAMES, Images, Labels

DatasetLayout = Literal["NCHW", "NHWC"]

_BEGINNINGS = (b"PK", b"\x93NUMPY", b"\x80")
"""Of .npz files, of single arrays and of pickles, each of which is told of."""
_MOST_CHANNELS = 4
"""Red, green, blue, and transparency or infrared."""
_FINITE_BLOCK = 4096
"""Images checked at a time, because `isfinite` makes a copy."""


@dataclass(frozen=True)
class Split:
    """Labeled images; pixels stay in the file's dtype until they are used."""

    pixels: np.ndarray
    """(n, C, H, W), uint8 or floating."""
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: np.ndarray | slice = slice(None)) -> Images:
        """Return the images at `indices` as float32; uint8 is divided by 255."""
        chosen = self.pixels[indices]
        if chosen.dtype == np.uint8:
            return np.divide(chosen, np.float32(255.0), dtype=np.float32)
        return np.ascontiguousarray(chosen, dtype=np.float32)

    def batches(self, indices: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, Images]]:
        """Give the indices and images of each batch in turn."""
        for start in range(0, len(indices), batch_size):
            chosen = indices[start : start + batch_size]
            yield chosen, self.images(chosen)

    def map(
        self, function: Callable[[Images], np.ndarray], batch_size: int, indices: np.ndarray | None = None
    ) -> np.ndarray:
        """Join what `function` makes of the images at `indices` (None: of all), a batch at a time."""
        chosen = np.arange(len(self)) if indices is None else indices
        return np.concatenate([function(images) for _, images in self.batches(chosen, batch_size)])

    def right(self, predict: Callable[[Images], Labels], batch_size: int) -> Bool[np.ndarray, " n"]:
        """Tell which items `predict` gives their label."""
        return self.map(predict, batch_size) == self.labels


@dataclass(frozen=True)
class Dataset:
    """The three splits; every image has the same shape, every label is in 0..K-1."""

    train: Split
    validation: Split
    test: Split
    class_count: int
    class_names: tuple[str, ...]
    """Empty if the job gives none."""

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Train, validation, test: in the order of `seed_split`."""
        return self.train, self.validation, self.test

    @property
    def named_splits(self) -> dict[str, Split]:
        """The splits by their names, in the same order."""
        return dict(zip(SPLIT_NAMES, self.splits, strict=True))

    @property
    def image_shape(self) -> ImageShape:
        """(C, H, W)."""
        _, channels, height, width = self.train.pixels.shape
        return channels, height, width


def load_dataset(
    path: Path, layout: DatasetLayout = "NCHW", class_names: tuple[str, ...] | None = None
) -> Dataset:
    """Read a dataset file (`docs/job-folder.md`); raises `InvalidDataset` with a DATASET_* reason."""
    splits: list[Split] = []
    with path.open("rb") as stream, _open(stream) as file:
        wanted = [f"{axis}_{name}" for name in SPLIT_NAMES for axis in "xy"]
        missing = [name for name in wanted if name not in file.files]
        if missing:
            raise InvalidDataset(
                Reason.DATASET_UNREADABLE,
                f"the dataset lacks the arrays {', '.join(missing)}; it holds "
                f"{', '.join(file.files) or 'none'}. Save images x_ and labels y_ of "
                f"{', '.join(SPLIT_NAMES)} with numpy.savez, each split with items of its own (classifiers "
                "are compared on the test split alone)",
            )
        for name in SPLIT_NAMES:
            with _refusing_damage(f"array x_{name}"):
                pixels = file[f"x_{name}"]
            with _refusing_damage(f"array y_{name}"):
                labels = file[f"y_{name}"]
            pixels = _pixels(pixels, f"x_{name}", layout)
            splits.append(Split(pixels, _labels(labels, name, len(pixels), class_names)))
    _agree(splits)
    largest = max(int(split.labels.max()) for split in splits) + 1
    class_count = len(class_names) if class_names else largest
    if class_count < 2:
        raise InvalidDataset(
            Reason.DATASET_LABELS, "the dataset must hold at least two classes, but all labels are 0"
        )
    return Dataset(*splits, class_count=class_count, class_names=class_names or ())


@contextmanager
def _refusing_damage(what: str) -> Generator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        pickled = isinstance(error, ValueError) and "pickle" in str(error)
        raise InvalidDataset(
            Reason.DATASET_PICKLED if pickled else Reason.DATASET_UNREADABLE,
            f"{what} holds pickled Python objects, which are never loaded. Save numbers of one dtype"
            if pickled
            else f"{what} is damaged, or no .npz file of plain arrays: {error}",
        ) from None


def _open(stream: BinaryIO) -> np.lib.npyio.NpzFile:
    start = stream.read(len(_BEGINNINGS[1]))
    stream.seek(0)
    # numpy takes any other file for pickled objects, and says so.
    if not start.startswith(_BEGINNINGS):
        raise InvalidDataset(
            Reason.DATASET_UNREADABLE,
            "the dataset is no .npz file: expected one of numpy.savez with the arrays x_train, y_train, "
            "x_validation, y_validation, x_test and y_test",
        )
    with _refusing_damage("the dataset"):
        file = np.load(stream, allow_pickle=False)
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise InvalidDataset(
            Reason.DATASET_UNREADABLE,
            "the dataset is a single array (.npy). Save the six arrays with numpy.savez",
        )
    return file


def _pixels(values: np.ndarray, name: str, layout: DatasetLayout) -> np.ndarray:
    if values.dtype.name not in ("uint8", "float16", "float32", "float64"):
        raise InvalidDataset(
            Reason.DATASET_SHAPE, f"{name} must be uint8, float16, float32 or float64, it is {values.dtype}"
        )
    if values.ndim not in (3, 4):
        raise InvalidDataset(
            Reason.DATASET_SHAPE,
            f"{name} must be (N, H, W), (N, C, H, W), or (N, H, W, C) with layout NHWC; it is {values.shape}",
        )
    if len(values) == 0:
        raise InvalidDataset(
            Reason.DATASET_EMPTY_SPLIT,
            f"{name} holds no images. Every split needs some: keep items of the train split out for it",
        )
    if min(values.shape) == 0:
        raise InvalidDataset(Reason.DATASET_SHAPE, f"{name} holds images without pixels: {values.shape}")
    if values.ndim == 3:
        values = values[:, None]
    elif layout == "NHWC":
        values = values.transpose(0, 3, 1, 2)
    else:
        _require_channels_first(values, name)
    if values.dtype != np.uint8:
        _require_finite(values, name)
    return values


def _require_channels_first(values: np.ndarray, name: str) -> None:
    """Refuse what is nearly certainly (N, H, W, C): dozens of channels, of images that are 3 or 4 wide."""
    _, channels, height, width = values.shape
    if min(channels, height) > _MOST_CHANNELS and (width in (3, 4) or (width == 1 and channels == height)):
        raise InvalidDataset(
            Reason.DATASET_SHAPE,
            f"{name} is {values.shape}: in layout NCHW these are images of {channels} channels, {height} "
            f"high and {width} wide. It looks like (N, H, W, C), images of {width} channels: push it with "
            "--layout nhwc (layout NHWC)",
        )


def _require_finite(values: np.ndarray, name: str) -> None:
    for start in range(0, len(values), _FINITE_BLOCK):
        block = values[start : start + _FINITE_BLOCK].astype(np.float32)
        finite = finite_items(block)
        if not finite.all():
            first = start + int(np.argmin(finite))
            raise InvalidDataset(
                Reason.DATASET_NOT_FINITE,
                f"{name}[{first}] holds NaN or infinite values (as float32). Remove or repair such images",
                {"array": name, "index": first},
            )


def _labels(values: np.ndarray, split: str, size: int, class_names: tuple[str, ...] | None) -> Labels:
    name = f"y_{split}"
    if values.dtype.kind not in "iu":
        raise InvalidDataset(
            Reason.DATASET_LABELS, f"{name} must hold integer class numbers, its dtype is {values.dtype}"
        )
    if values.shape != (size,):
        raise InvalidDataset(
            Reason.DATASET_SHAPE,
            f"{name} must have one label for each of {size} images, its shape is {values.shape}",
        )
    low, high = int(values.min()), int(values.max())
    limit = len(class_names) if class_names else 2**31
    if low < 0 or high >= limit:
        allowed = f"0..{limit - 1} (the job names {limit} classes)" if class_names else "0 or more"
        raise InvalidDataset(
            Reason.DATASET_LABELS,
            f"{name} must be in {allowed}, its labels run from {low} to {high}",
            {"low": low, "high": high},
        )
    return values.astype(np.int64)


def _agree(splits: list[Split]) -> None:
    shapes = {name: split.pixels.shape[1:] for name, split in zip(SPLIT_NAMES, splits, strict=True)}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InvalidDataset(
            Reason.DATASET_SHAPE, f"all splits must have images of one shape (C, H, W), got {told}"
        )

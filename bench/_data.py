"""The benchmarks' datasets. scikit-learn brings digits; the others must be on this machine."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

NAMES = ("digits", "mnist", "fashion")
DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
"""Debian's package dataset-fashion-mnist puts its files here."""
SPLIT_SEED = 20_210_212
"""Fixes which items are train, validation and test, independently of a benchmark's random seeds."""
_VALIDATION_ITEMS = 10_000
_FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True)
class Data:
    """Three splits of uint8 images (n, H, W) with int64 labels (n,) in 0..K-1."""

    name: str
    class_names: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load(name: str) -> Data | None:
    """Load one of `NAMES`. If the data is not on this machine, print the reason and return None."""
    loaders: dict[str, Callable[[], Data | str]] = {"digits": _digits, "mnist": _mnist, "fashion": _fashion}
    if name not in loaders:
        raise ValueError(f"dataset must be one of {', '.join(NAMES)}, got {name!r}")
    found = loaders[name]()
    if isinstance(found, Data):
        return found
    print(f"{name}: skipped: {found}", flush=True)
    return None


def write_dataset(data: Data, path: Path) -> None:
    """Write the .npz file that the engine reads (docs/job-folder.md)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        x_train=data.train_images,
        y_train=data.train_labels,
        x_validation=data.validation_images,
        y_validation=data.validation_labels,
        x_test=data.test_images,
        y_test=data.test_labels,
    )


def _digits() -> Data:
    bunch = load_digits()
    # The engine divides by 255: scale 0..16 to 0..255.
    images = np.rint(bunch.images * (255.0 / 16.0)).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))
    fifth = len(labels) // 5
    test, rest = order[:fifth], order[fifth:]
    names = tuple(str(digit) for digit in range(10))
    return _split("digits", names, (images[rest], labels[rest]), (images[test], labels[test]), fifth)


def _mnist() -> Data | str:
    folder = os.environ.get("DEFUSE_DATA_DIR")
    if not folder:
        return "DEFUSE_DATA_DIR is not set"
    path = Path(folder) / "mnist.npz"
    if not path.is_file():
        return f"{path} does not exist (arrays xtr, ytr, xte, yte)"
    with np.load(path, allow_pickle=False) as file:
        xtr, ytr, xte, yte = (file[name] for name in ("xtr", "ytr", "xte", "yte"))
    names = tuple(str(digit) for digit in range(10))
    return _split("mnist", names, (xtr, ytr), (xte, yte), _VALIDATION_ITEMS)


def _fashion() -> Data | str:
    own = Path(os.environ.get("DEFUSE_DATA_DIR") or ".") / "fashion-mnist"
    folder = next((folder for folder in (own, DEBIAN_FASHION) if folder.is_dir()), None)
    if folder is None:
        return f"neither {DEBIAN_FASHION} (Debian's dataset-fashion-mnist) nor {own} exists"
    train = (_idx(folder / "train-images-idx3-ubyte.gz"), _idx(folder / "train-labels-idx1-ubyte.gz"))
    test = (_idx(folder / "t10k-images-idx3-ubyte.gz"), _idx(folder / "t10k-labels-idx1-ubyte.gz"))
    return _split("fashion", _FASHION_CLASSES, train, test, _VALIDATION_ITEMS)


def _idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes: 0, 0, type 8, the number of axes, big-endian sizes, the values."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(tuple(shape.tolist()))


def _split(
    name: str,
    class_names: tuple[str, ...],
    known: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    validation_items: int,
) -> Data:
    order = np.random.default_rng(SPLIT_SEED).permutation(len(known[1]))
    validation, train = order[:validation_items], order[validation_items:]
    return Data(
        name=name,
        class_names=class_names,
        train_images=known[0][train],
        train_labels=known[1][train].astype(np.int64),
        validation_images=known[0][validation],
        validation_labels=known[1][validation].astype(np.int64),
        test_images=test[0],
        test_labels=test[1].astype(np.int64),
    )

"""`readers.npz`: the readers that an audit trained, for the jobs that go on from it.

To train them takes minutes, most of what a split of regions does. Arrays alone are in the file, no objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from defuse_engine.errors import JobInvalid
from defuse_engine.job_folder.output_files import write_whole
from defuse_engine.models.preprocessing import ImageShape
from defuse_engine.readers.own_classifier import OwnClassifier


def write_readers(path: Path, groups: Mapping[str, Sequence[OwnClassifier]]) -> None:
    """Write trained networks under the name of their group, whole or not at all."""
    arrays = {
        f"{group}/{number}/{name}": values
        for group, networks in groups.items()
        for number, network in enumerate(networks)
        for name, values in network.to_arrays().items()
    }
    write_whole(path, lambda stream: np.savez(stream, allow_pickle=False, **arrays))


def has_readers(path: Path, group: str) -> bool:
    """Tell whether a file holds networks of a group; of no such file nothing is told."""
    with suppress(OSError, ValueError, BadZipFile), path.open("rb") as stream, np.load(stream) as file:
        return any(name.startswith(f"{group}/") for name in file)
    return False


def read_readers(
    path: Path, group: str, count: int, image_shape: ImageShape, class_count: int, device: str
) -> tuple[OwnClassifier, ...]:
    """Read the `count` networks of a group; raises `JobInvalid` if the file does not hold them.

    They must be for images of this shape, and for so many classes.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            networks: list[OwnClassifier] = []
            for number in range(count):
                prefix = f"{group}/{number}/"
                arrays = {name.removeprefix(prefix): file[name] for name in file if name.startswith(prefix)}
                networks.append(OwnClassifier.of_arrays(arrays, image_shape, class_count).to(device))
            return tuple(networks)
    except (OSError, ValueError, KeyError, RuntimeError, BadZipFile) as error:
        raise JobInvalid(
            f"expected {count} {group} of an audit of images {image_shape} in {class_count} classes, "
            f"{path.name} has none: {error}. Give the audit's own file, or none: then they are trained anew"
        ) from error

"""What the end-to-end tests share: the built wheel, a running service, and files to send to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from examples.digits.local_server import local_server

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution as users install it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service as `defuse-server up` starts it, with state of its own."""
    with local_server(tmp_path_factory.mktemp("service")) as address:
        yield address


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory: pytest.TempPathFactory, tiny_models: ModuleType) -> Path:
    """Files of a linear classifier over a linear VAE, wrong in a known stripe."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "classifier.onnx").write_bytes(tiny_models.classifier())
    (folder / "encoder.onnx").write_bytes(tiny_models.encoder())
    (folder / "decoder.onnx").write_bytes(tiny_models.decoder())
    (folder / "dataset.npz").write_bytes(tiny_models.dataset())
    return folder

"""What the end-to-end tests share: the built wheel, a running service, and files to send to it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from examples.local_server import local_server
from tests.e2e.gate_materials import Materials
from tests.e2e.gate_materials import make as make_materials
from tests.e2e.mlflow_server import MlflowServer
from tests.e2e.mlflow_server import install as install_mlflow
from tests.e2e.mlflow_server import running as running_mlflow

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


@pytest.fixture(scope="session")
def gate_materials(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Materials]:
    """A service of their own for the tests of registries and pipelines, with all that a gate needs."""
    service = tmp_path_factory.mktemp("gate-service")
    with local_server(service) as address:
        folder = tmp_path_factory.mktemp("gate-materials")
        yield make_materials(address, service / "state", tiny_models, folder)


@pytest.fixture
def folder_registry(gate_materials: Materials, tmp_path: Path) -> Path:
    """A registry: version 1 is the baseline and bears `champion`, version 2 is better, version 3 worse."""
    model = tmp_path / "registry" / "digits"
    for version, name in (("1", "baseline"), ("2", "better"), ("3", "worse")):
        (model / version).mkdir(parents=True)
        shutil.copyfile(gate_materials.files[name], model / version / "model.onnx")
    (model / "aliases").mkdir()
    (model / "aliases" / "champion").write_text("1")
    return model.parent


@pytest.fixture(scope="session")
def mlflow_server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """The real MLflow; the first time it is installed, which takes a minute."""
    venv = repository / "out" / "mlflow-venv"
    install_mlflow(venv)
    with running_mlflow(venv, tmp_path_factory.mktemp("mlflow")) as server:
        yield server

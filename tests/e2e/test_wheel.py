"""The wheel: the base install is the client alone, and brings the contract."""

from __future__ import annotations

import subprocess
import venv
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def base_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel and what it depends on, at the versions of the lock."""
    folder = tmp_path_factory.mktemp("base")
    venv.create(folder, with_pip=True)
    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(lock), str(wheel)], check=True, timeout=240)
    return folder / "bin" / "python"


def test_the_base_install_imports_without_torch_numpy_or_redis(base_python: Path) -> None:
    program = (
        "import importlib.util as u, defuse, defuse.cli\n"
        "print([m for m in ('torch', 'numpy', 'redis', 'onnx', 'onnxruntime', 'sklearn') if u.find_spec(m)])"
    )
    answer = subprocess.run([base_python, "-c", program], capture_output=True, text=True, timeout=60)
    assert (answer.stdout.strip(), answer.stderr, answer.returncode) == ("[]", "", 0)


def test_the_base_install_has_the_command(base_python: Path) -> None:
    answer = subprocess.run(
        [base_python.with_name("defuse"), "--help"], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0
    assert "audit" in answer.stdout


def test_the_base_install_names_the_extra_that_verifies_evidence(base_python: Path, tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_text("{}")
    command = [base_python.with_name("defuse"), "verify-evidence", "evidence.json", "--key", "evidence.json"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 70
    assert "pip install 'defuse-audit[gate]'" in answer.stderr


def test_the_wheel_brings_the_whole_contract(wheel: Path, repository: Path) -> None:
    shipped = {
        name.removeprefix("defuse/proto/"): zipfile.ZipFile(wheel).read(name).decode()
        for name in zipfile.ZipFile(wheel).namelist()
        if name.endswith(".proto")
    }
    written = {
        str(path.relative_to(repository / "proto")): path.read_text()
        for path in (repository / "proto").rglob("*.proto")
    }
    assert shipped == written


def test_the_wheel_brings_what_pages_and_reports_are_made_of(wheel: Path, repository: Path) -> None:
    server = repository / "server"
    made_of = {
        str(path.relative_to(server))
        for folder in ("web/static", "web/templates", "drawn/templates", "evidence/report/templates")
        for path in (server / "defuse_server" / folder).rglob("*")
        if path.is_file()
    }
    assert len(made_of) > 20
    assert made_of <= set(zipfile.ZipFile(wheel).namelist())

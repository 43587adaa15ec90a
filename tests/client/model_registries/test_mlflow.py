"""MLflow as a registry, as far as no server is needed; tests/e2e/test_mlflow_gate.py has the rest."""

import subprocess
import sys
from pathlib import Path

import pytest
from defuse.model_registries.errors import RegistryError
from defuse.model_registries.mlflow import MlflowRegistry, _onnx_file


def test_without_the_extra_the_error_names_it() -> None:
    code = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from defuse.cli.run import run\n"
        "sys.exit(run(['mlflow', 'gate', '--model', 'm', '--version', '2', '--tracking-uri', 'http://h']))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 64
    assert "pip install 'defuse-audit[mlflow]'" in ran.stderr


def test_the_command_line_starts_without_mlflows_client() -> None:
    code = (
        "import defuse.cli.app, sys; print([m for m in ('mlflow', 'yaml', 'requests') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "[]"


def test_an_address_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(RegistryError, match="--tracking-uri or MLFLOW_TRACKING_URI"):
        MlflowRegistry()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flavors: {onnx: {data: ../../etc/passwd}}", "among its artifacts"),
        ("flavors: {onnx: {data: /etc/passwd}}", "among its artifacts"),
        ("flavors: {sklearn: {}, python_function: {}}", "its flavours are python_function, sklearn"),
        ("flavors: {onnx: {}}", "can't be read"),
        ("flavors: 3", "can't be read"),
        ("{", "can't be read"),
        ("!!python/object/apply:os.system [true]", "can't be read"),
    ],
)
def test_a_description_that_names_no_onnx_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(RegistryError, match=said):
        _onnx_file(tmp_path / "MLmodel", "digits version 7")

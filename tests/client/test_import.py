"""The base install is small, and importing it is quick."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "torch", "redis", "psutil", "onnx", "onnxruntime", "sklearn", "pydantic", "PIL")


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("module", ["defuse.client", "defuse.aio", "defuse.cli.app", "defuse.messages"])
def test_nothing_beyond_the_base_install_is_imported(module):
    code = f"import {module}, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert python(code).strip() == "[]"


def test_the_package_alone_imports_neither_grpc_nor_the_command_line():
    names = ("grpc", "typer", "rich", "google.protobuf")
    code = f"import defuse, sys; print([name for name in {names!r} if name in sys.modules])"
    assert python(code).strip() == "[]"


def test_the_client_leaves_the_command_line_alone():
    names = ("typer", "rich")
    code = f"import defuse, sys; defuse.Client; print([name for name in {names!r} if name in sys.modules])"
    assert python(code).strip() == "[]"


def test_all_that_is_exported_is_there():
    code = "import defuse; print(all(getattr(defuse, name) is not None for name in defuse.__all__))"
    assert python(code).strip() == "True"

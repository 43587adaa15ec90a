"""A client in another language, made from the .proto files of the wheel alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js with npm")


@pytest.fixture(scope="module")
def node_client(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed outside the repository."""
    folder = tmp_path_factory.mktemp("node")
    for name in ("audit.mjs", "package.json", "package-lock.json"):
        shutil.copy(repository / "examples" / "node" / name, folder)
    subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=240)
    return folder / "audit.mjs"


def test_node_registers_audits_and_streams(
    node_client: Path, wheel: Path, address: str, models_folder: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    command = ["node", str(node_client), "--address", address, "--proto", str(tmp_path / "defuse" / "proto")]
    answer = subprocess.run(
        [*command, str(models_folder)], capture_output=True, text=True, timeout=200, check=False
    )
    assert answer.returncode == 0, answer.stderr
    audit = json.loads(answer.stdout)
    assert audit["state"] == "JOB_STATE_SUCCEEDED"
    assert audit["misclassifications"] > 0
    # The classifier's only mistake: items left of its boundary and right of the truth's.
    assert {(region["seed_label"], region["predicted_class"]) for region in audit["regions"]} == {(1, 0)}

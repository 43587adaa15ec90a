"""The commands of the guide, as they stand there, push models of other ranges for one dataset of bytes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import defuse
import numpy as np
import pytest

from tests.models import colour_patches

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def normalised(images: np.ndarray) -> np.ndarray:
    return (images - MEAN[:, None, None]) / STD[:, None, None]


MODELS = {
    "values in 0..1": colour_patches.classifier(),
    "values in 0..255, as floats or bytes": colour_patches.classifier(lambda x: 255 * x),
    "values in -1..1": colour_patches.classifier(lambda x: 2 * x - 1),
    "values normalised per channel, as torchvision's models": colour_patches.classifier(normalised),
    "as above, channels last": colour_patches.classifier(normalised, channels_last=True),
}


@pytest.fixture(scope="module")
def commands(repository: Path) -> dict[str, list[str]]:
    """What the table of the guide says: from the kind of model to the options of its command."""
    guide = (repository / "docs" / "inputs.md").read_text()
    rows = re.findall(
        r"^\| ([^|]+) \| `defuse push classifier model\.onnx ?([^`]*)` \|$", guide, re.MULTILINE
    )
    return {model: options.split() for model, options in rows}


@pytest.fixture(scope="module")
def dataset(address: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "data.npz"
    path.write_bytes(colour_patches.saved_as_bytes())
    with defuse.Client(address) as client:
        return client.push_dataset(path, class_names=["blue", "red", "dark", "bright"]).name


@pytest.fixture
def push(address: str, dataset: str, tmp_path: Path):
    """Push a classifier with options, by the command; returns what ran."""

    def run(content: bytes, options: list[str]) -> subprocess.CompletedProcess[str]:
        (tmp_path / "model.onnx").write_bytes(content)
        command = Path(sys.executable).with_name("defuse")
        return subprocess.run(
            [
                *[command, "--address", address, "push", "classifier", "model.onnx"],
                *[*options, "--dataset", dataset, "--json"],
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_guide_has_a_command_for_each_kind_of_model(commands):
    assert set(commands) == set(MODELS)


@pytest.mark.parametrize("kind", MODELS)
def test_the_command_of_the_guide_fits_its_model(kind, commands, push):
    pushed = json.loads(push(MODELS[kind], commands[kind]).stdout)
    assert pushed["dataset_accuracy"]["value"] > 0.99
    assert not pushed.get("warnings")


def test_a_model_of_bytes_is_pushed_like_one_of_floats_in_0_to_255(commands, push):
    model = colour_patches.classifier(lambda x: 255 * x, takes_bytes=True)
    pushed = json.loads(push(model, commands["values in 0..255, as floats or bytes"]).stdout)
    assert pushed["dataset_accuracy"]["value"] > 0.99


def test_the_command_of_another_model_is_refused_with_the_options_that_fit(commands, push):
    ran = push(MODELS["values in 0..255, as floats or bytes"], commands["values in 0..1"])
    assert ran.returncode != 0
    assert "PREFLIGHT_CLASSIFIER_ACCURACY" in ran.stderr
    assert "With --scale 255 it would be right on" in " ".join(ran.stderr.split())

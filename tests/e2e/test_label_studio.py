"""An audit's regions, labeled in the real Label Studio and taken back by the commands that people type.

Label Studio gets a virtual environment of its own. It takes two minutes to install (980 MB) and one to start:
the test installs it only where the environment variable CI is set, and runs wherever it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import defuse
import pytest

from tests.e2e import label_studio
from tests.e2e.label_studio import LabelStudio

pytestmark = pytest.mark.timeout(900)

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def studio(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    venv = repository / "out" / "label-studio-venv"
    if not (venv / "bin" / "label-studio").exists():
        if not os.environ.get("CI"):
            pytest.skip(
                f"needs Label Studio in {venv}; with the environment variable CI set, it is installed there"
            )
        label_studio.install(venv)
    with label_studio.running(venv, tmp_path_factory.mktemp("label-studio")) as running:
        yield running


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[defuse.Client]:
    with defuse.Client(address) as client:
        yield client


@pytest.fixture(scope="module")
def audit(client: defuse.Client, models_folder: Path) -> str:
    """A finished audit whose regions want one annotator each."""
    classifier = client.push_classifier(models_folder / "classifier.onnx")
    vae = client.push_vae(models_folder / "encoder.onnx", models_folder / "decoder.onnx")
    dataset = client.push_dataset(models_folder / "dataset.npz", class_names=["left", "right"])
    started = client.start_audit(classifier.name, vae.name, dataset.name, annotators_per_region=1)
    client.wait(started.name)
    return started.name


@pytest.fixture(scope="module")
def label(address: str) -> Run:
    """`defuse label ... --json`."""

    def run(*arguments: str) -> Any:
        command = [str(Path(sys.executable).with_name("defuse")), "--address", address, "label", *arguments]
        ran = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=240, check=False)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


def test_label_studio_takes_the_tasks_and_defuse_the_answers_once(
    studio: LabelStudio, client: defuse.Client, audit: str, label: Run, tmp_path: Path
) -> None:
    tasks, answers = tmp_path / "tasks.json", tmp_path / "answers.json"
    exported = label("export", audit, "-o", str(tasks))
    config = Path(exported["labeling_config_path"]).read_text()

    project = studio.create_project(config)
    (control,) = [one for one in project["parsed_label_config"].values() if one["type"] == "Choices"]
    assert control["labels"] == ["left", "right", "mixed", "not a valid input", "can't tell"]
    assert studio.import_file(project["id"], tasks)["task_count"] == exported["task_count"] > 0

    # Nobody has answered yet.
    answers.write_bytes(studio.export(project["id"]))
    nothing = label("import", audit, str(answers))
    assert (nothing["imported_count"], nothing["unanswered_count"]) == (0, exported["task_count"])

    known = json.loads(answers.read_bytes())
    assert [task["data"] for task in known] == [task["data"] for task in json.loads(tasks.read_bytes())]
    for task in known:
        studio.annotate(task["id"], "right", note="=in the stripe")
    answers.write_bytes(studio.export(project["id"]))
    first = label("import", audit, str(answers))
    assert (first["imported_count"], first["known_count"], first["problem_count"]) == (len(known), 0, 0)
    progress = client.get_labeling_progress(audit)
    assert (progress.labeled_count, progress.confirmed_count) == (len(known), len(known))

    second = label("import", audit, str(answers))
    assert (second["imported_count"], second["known_count"], second["problem_count"]) == (0, len(known), 0)
    assert client.get_labeling_progress(audit) == progress
    assert label("export", audit, "-o", str(tasks))["task_count"] == 0


def test_a_second_answer_in_label_studio_is_reported(
    studio: LabelStudio, client: defuse.Client, audit: str, label: Run, tmp_path: Path
) -> None:
    """The regions want one answer; what comes later is no silent loss."""
    tasks, answers = tmp_path / "tasks.json", tmp_path / "answers.json"
    label("export", audit, "-o", str(tasks), "--all")
    project = studio.create_project((tmp_path / "tasks.labeling-config.xml").read_text())
    studio.import_file(project["id"], tasks)
    for task in json.loads(studio.export(project["id"])):
        studio.annotate(task["id"], "left")
        studio.annotate(task["id"], None)
    before = client.get_labeling_progress(audit)
    answers.write_bytes(studio.export(project["id"]))
    result = label("import", audit, str(answers))
    assert result["imported_count"] == 0
    assert result["problem_count"] == before.region_count
    reasons = {problem["reason"] for problem in result["problems"]}
    assert reasons == {"IMPORT_PROBLEM_REASON_ALREADY_ANSWERED"}
    assert client.get_labeling_progress(audit) == before

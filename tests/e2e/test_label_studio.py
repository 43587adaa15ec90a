"""An audit's regions, labeled in the real Label Studio and taken back by the commands that people type.

Label Studio gets a virtual environment of its own. It takes two minutes to install (980 MB) and one to start:
make soak runs these tests. tests/server/api/test_label_files.py tests its files without it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import defuse
import pytest

from tests.e2e import label_studio
from tests.e2e.label_studio import LabelStudio

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def studio(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    venv = repository / "out" / "label-studio-venv"
    if not (venv / "bin" / "label-studio").exists():
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
        said = json.loads(ran.stdout or "{}")
        assert ran.returncode == (65 if said.get("problem_count") else 0), ran.stderr
        return said

    return run


@dataclass(frozen=True)
class Exported:
    """A project of Label Studio that has an audit's tasks, and what the export said of itself."""

    project: dict[str, Any]
    said: dict[str, Any]
    tasks: Path


@pytest.fixture(scope="module")
def exported(
    studio: LabelStudio, audit: str, label: Run, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    tasks = tmp_path_factory.mktemp("exported") / "tasks.json"
    said = label("export", audit, "-o", str(tasks))
    project = studio.create_project(Path(said["labeling_config_path"]).read_text())
    assert studio.import_file(project["id"], tasks)["task_count"] == said["task_count"] > 0
    return Exported(project, said, tasks)


@pytest.fixture
def take_back(studio: LabelStudio, exported: Exported, audit: str, label: Run, tmp_path: Path) -> Run:
    """Import what Label Studio has by now."""

    def take() -> Any:
        answers = tmp_path / "answers.json"
        answers.write_bytes(studio.export(exported.project["id"]))
        return label("import", audit, str(answers))

    return take


def test_label_studio_shows_the_classes_and_the_verdicts(exported: Exported) -> None:
    controls = exported.project["parsed_label_config"].values()
    (choices,) = [one for one in controls if one["type"] == "Choices"]
    assert choices["labels"] == ["left", "right", "mixed", "not a valid input", "can't tell"]


def test_label_studio_keeps_a_tasks_data(studio: LabelStudio, exported: Exported) -> None:
    kept = json.loads(studio.export(exported.project["id"]))
    assert [task["data"] for task in kept] == [
        task["data"] for task in json.loads(exported.tasks.read_bytes())
    ]


def test_tasks_that_nobody_has_answered_are_counted(exported: Exported, take_back: Run) -> None:
    taken = take_back()
    assert (taken["imported_count"], taken["unanswered_count"]) == (0, exported.said["task_count"])


def test_answers_are_taken_once(
    studio: LabelStudio, client: defuse.Client, audit: str, label: Run, exported: Exported, take_back: Run
) -> None:
    count = exported.said["task_count"]
    for task in json.loads(studio.export(exported.project["id"])):
        studio.annotate(task["id"], "right", note="=in the stripe")
    first = take_back()
    assert (first["imported_count"], first["known_count"], first["problem_count"]) == (count, 0, 0)
    progress = client.get_labeling_progress(audit)
    assert (progress.labeled_bug_count, progress.confirmed_bug_count) == (count, count)

    second = take_back()
    assert (second["imported_count"], second["known_count"], second["problem_count"]) == (0, count, 0)
    assert client.get_labeling_progress(audit) == progress
    assert label("export", audit, "-o", str(exported.tasks))["task_count"] == 0


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
    assert result["problem_count"] == before.bug_count
    reasons = {problem["reason"] for problem in result["problems"]}
    assert reasons == {"IMPORT_PROBLEM_REASON_ALREADY_ANSWERED"}
    assert client.get_labeling_progress(audit) == before

"""The examples of pipelines: they have the form that each tool reads, and their commands do what they say.

The commands are taken out of the files and run as the tool would, against a real service and a real MLflow.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.e2e.argo_schema import SCHEMA
from tests.e2e.gate_materials import POLICY, Materials
from tests.e2e.mlflow_model import Model
from tests.e2e.mlflow_server import MlflowServer

pytestmark = [
    pytest.mark.timeout(600),  # the first of them installs MLflow
    pytest.mark.xdist_group("mlflow"),
]

PIPELINES = Path(__file__).resolve().parents[2] / "examples" / "pipelines"
NOWHERE = "127.0.0.1:1"
SCHEMAS = {
    "github-actions.yml": ["--builtin-schema", "vendor.github-workflows"],
    "gitlab-ci.yml": ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
}


def read(name: str) -> Any:
    return yaml.safe_load((PIPELINES / name).read_text())


def is_valid(path: Path) -> bool:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [checker, *SCHEMAS[path.name], str(path)]
    return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_workflow_has_its_tools_schema(name: str, tmp_path: Path) -> None:
    assert is_valid(PIPELINES / name)
    for key in ("timeout-minutes", "timeout", "needs", "runs-on"):
        broken = tmp_path / name
        text = (PIPELINES / name).read_text()
        broken.write_text(text.replace(f"    {key}:", f"    {key}s:").replace(f"  {key}:", f"  {key}s:"))
        assert is_valid(broken) == (f" {key}:" not in text), f"a misspelt {key} must show"


def test_the_analysis_has_the_fields_of_argo_rollouts() -> None:
    template = read("argo-rollouts.yaml")
    jsonschema.validate(template, SCHEMA)
    template["spec"]["metrics"][0]["provider"]["job"]["spec"]["backofLimit"] = 0
    with pytest.raises(jsonschema.ValidationError, match="backofLimit"):
        jsonschema.validate(template, SCHEMA)


def environment(address: str, **more: str) -> dict[str, str]:
    """What the tool would set: the command `defuse` first on the path, and nothing of the developer's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEFUSE_", "MLFLOW_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "DEFUSE_ADDRESS": address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"} | more


def run(command: list[str], env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=env, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def model(mlflow_server: MlflowServer, gate_materials: Materials) -> Model:
    """Version 2 is better, 3 is worse; the tags say over what."""
    model = Model(mlflow_server, gate_materials, "better", "worse")
    model.client.set_registered_model_tag(model.name, "defuse.audit", gate_materials.labeled)
    model.client.set_registered_model_tag(model.name, "defuse.policy", POLICY)
    return model


Gate = Callable[[str, str], int]
"""Gates a version of `model` with the service at an address; returns the exit code."""


def github(model: Model, folder: Path) -> Gate:
    job = read("github-actions.yml")["jobs"]["gate"]
    (step,) = [step for step in job["steps"] if step.get("name") == "Gate"]
    assert (job["env"]["MODEL"], job["env"]["VERSION"]) == ("${{ inputs.model }}", "${{ inputs.version }}")
    (folder / "gate.yaml").write_text(POLICY)

    def gate(version: str, address: str) -> int:
        inputs = {"MODEL": model.name, "VERSION": version, "MLFLOW_TRACKING_URI": model.server.uri}
        return run(["bash", "-e", "-c", step["run"]], environment(address, **inputs), folder).returncode

    return gate


def argo(model: Model, folder: Path) -> Gate:
    job = read("argo-rollouts.yaml")["spec"]["metrics"][0]["provider"]["job"]["spec"]
    (container,) = job["template"]["spec"]["containers"]

    def gate(version: str, address: str) -> int:
        arguments = [
            argument.replace("{{args.model}}", model.name).replace("{{args.version}}", version)
            for argument in container["args"]
        ]
        env = environment(address, MLFLOW_TRACKING_URI=model.server.uri)
        return run([*container["command"], *arguments], env, folder).returncode

    return gate


@pytest.mark.parametrize("pipeline", [github, argo], ids=["GitHub Actions", "Argo Rollouts"])
def test_a_pipeline_with_mlflow_promotes_on_pass_alone(
    pipeline: Callable[[Model, Path], Gate], model: Model, gate_materials: Materials, tmp_path: Path
) -> None:
    gate = pipeline(model, tmp_path)
    assert gate("3", gate_materials.address) == 1
    assert model.champion == "1"
    assert gate("2", gate_materials.address) == 0
    assert model.champion == "2"


def test_gitlab_deploys_only_what_passed(gate_materials: Materials, tmp_path: Path) -> None:
    jobs = read("gitlab-ci.yml")
    assert jobs["deploy"]["needs"] == ["gate"]
    script = "\n".join(jobs["gate"]["script"])
    (tmp_path / "gate.yaml").write_text(POLICY)
    project = {
        "DEFUSE_BASELINE": gate_materials.baseline,
        "DEFUSE_DATASET": gate_materials.dataset,
        "DEFUSE_VAE": gate_materials.vae,
        "CI_PROJECT_NAME": "digits",
        "CI_COMMIT_SHORT_SHA": "0a1b2c3d",
    }
    for name, address, code in (
        ("better", NOWHERE, 69),
        ("worse", gate_materials.address, 1),
        ("better", gate_materials.address, 0),
    ):
        shutil.copyfile(gate_materials.files[name], tmp_path / "model.onnx")
        # As GitLab's runner does it.
        ran = run(["bash", "-eo", "pipefail", "-c", script], environment(address, **project), tmp_path)
        assert ran.returncode == code, ran.stderr
    for kept in [*jobs["gate"]["artifacts"]["paths"], jobs["gate"]["artifacts"]["reports"]["junit"]]:
        assert (tmp_path / kept).stat().st_size > 0


@pytest.mark.parametrize(
    ("version", "audit", "address", "code", "said"),
    [
        ("2", "labeled", "", 0, "passed: deploying"),
        ("3", "labeled", "", 1, "FAILED the gate: not deploying"),
        ("2", "unlabeled", "", 2, "INCONCLUSIVE"),
        ("2", "labeled", NOWHERE, 69, "can't be reached: not deploying"),
        ("9", "labeled", "", 64, "could not decide (exit 64): not deploying"),
    ],
)
def test_the_hook_lets_only_a_pass_deploy(
    folder_registry: Path,
    gate_materials: Materials,
    tmp_path: Path,
    version: str,
    audit: str,
    address: str,
    code: int,
    said: str,
) -> None:
    tags = {"defuse.audit": getattr(gate_materials, audit), "defuse.policy": POLICY}
    (folder_registry / "digits" / "tags.json").write_text(json.dumps(tags))
    command = [str(PIPELINES / "predeploy-hook"), str(folder_registry), "digits", version]
    ran = run(command, environment(address or gate_materials.address), tmp_path)
    assert (ran.returncode, said in ran.stdout + ran.stderr) == (code, True), ran.stdout + ran.stderr
    champion = (folder_registry / "digits" / "aliases" / "champion").read_text().strip()
    assert champion == ("2" if code == 0 else "1")


def test_the_hook_says_how_it_is_used_and_fails_without_the_command(
    folder_registry: Path, tmp_path: Path
) -> None:
    hook = str(PIPELINES / "predeploy-hook")
    assert run([hook], environment(NOWHERE), tmp_path).returncode == 64
    bare = {"PATH": "/usr/bin:/bin"}
    assert run([hook, str(folder_registry), "digits", "2"], bare, tmp_path).returncode == 127

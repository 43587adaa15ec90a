"""`defuse mlflow gate` with a real MLflow server, its SQL store, and models that mlflow.onnx logged.

MLflow gets a virtual environment of its own, out/mlflow-venv, which the tests make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import defuse
import pytest
from defuse.model_registries.errors import VersionChanged
from defuse.model_registries.gate import EVIDENCE_FILES, gate
from defuse.model_registries.mlflow import MlflowRegistry
from defuse.model_registries.request import GateRequest

from tests.e2e.gate_materials import POLICY, Materials, Ran, run
from tests.e2e.mlflow_model import Model
from tests.e2e.mlflow_server import MlflowServer

pytestmark = [
    pytest.mark.timeout(600),  # the first of them installs MLflow
    pytest.mark.xdist_group("mlflow"),
]


@pytest.fixture
def model(mlflow_server: MlflowServer, gate_materials: Materials) -> Model:
    """Version 1 is the baseline and bears `champion`; 2 is better, 3 is worse."""
    return Model(mlflow_server, gate_materials, "better", "worse")


Gate = Callable[..., Ran]


def run_gate(
    materials: Materials, uri: str, model: Model, version: str, *options: str, address: str = ""
) -> Ran:
    command = ["--timeout-s", "5", "mlflow", "gate", "--tracking-uri", uri, "--policy", str(materials.policy)]
    version_of = ["--model", model.name, "--alias", "champion", "--version", version]
    retries = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    return run(address or materials.address, *command, *version_of, *options, **retries)


@pytest.fixture
def gate_version(gate_materials: Materials, mlflow_server: MlflowServer) -> Gate:
    def gated(
        model: Model, version: str, *options: str, address: str = "", uri: str = mlflow_server.uri
    ) -> Ran:
        return run_gate(gate_materials, uri, model, version, *options, address=address)

    return gated


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Promoted:
    model: Model
    evaluation: dict[str, Any]
    """As the command printed it."""

    @property
    def evidence(self) -> Path:
        """Where the version carries it."""
        name = self.evaluation["name"].removeprefix("evaluations/")
        return self.model.artifacts("2") / "defuse" / name


@pytest.fixture(scope="module")
def promoted(mlflow_server: MlflowServer, gate_materials: Materials) -> Promoted:
    """A model whose version 2 passed the gate."""
    model = Model(mlflow_server, gate_materials, "better", "worse")
    ran = run_gate(gate_materials, mlflow_server.uri, model, "2", "--audit", gate_materials.labeled, "--json")
    assert ran.code == 0, ran.err
    return Promoted(model, ran.document)


def test_on_pass_the_alias_moves(promoted: Promoted) -> None:
    assert promoted.model.champion == "2"


def test_on_pass_the_version_carries_the_verdict_as_tags(
    promoted: Promoted, gate_materials: Materials
) -> None:
    assert promoted.model.tags("2") == {
        "defuse.verdict": "PASS",
        "defuse.evaluation": promoted.evaluation["name"],
        "defuse.candidate_sha256": sha256(gate_materials.files["better"]),
        "defuse.policy_sha256": promoted.evaluation["policy_sha256"],
    }


def test_on_pass_the_version_carries_every_file_of_evidence(promoted: Promoted) -> None:
    attached = {file.name: f"artifacts/{sha256(file)}" for file in promoted.evidence.iterdir()}
    made = {EVIDENCE_FILES[field]: artifact for field, artifact in promoted.evaluation["evidence"].items()}
    assert attached == made
    assert set(attached) == set(EVIDENCE_FILES.values())


@pytest.mark.parametrize(("version", "code"), [("2", 0), ("3", 65)])
def test_the_attached_evidence_is_about_the_version_that_passed_alone(
    promoted: Promoted, gate_materials: Materials, version: str, code: int
) -> None:
    verify = ["verify-evidence", str(promoted.evidence / "evidence.dsse.json")]
    verify += ["--key", str(gate_materials.public_key), "--require-pass"]
    verify += ["--policy-sha256", promoted.model.tags("2")["defuse.policy_sha256"]]
    model = promoted.model.artifacts(version) / "model.onnx"
    assert run("", *verify, "--model", str(model)).code == code


def test_a_gate_that_is_repeated_takes_the_verdict_that_there_is(
    gate_version: Gate, promoted: Promoted, gate_materials: Materials
) -> None:
    again = gate_version(promoted.model, "2", "--audit", gate_materials.labeled, "--json")
    assert (again.code, again.document["name"]) == (0, promoted.evaluation["name"])


def test_on_fail_the_alias_stays(gate_version: Gate, model: Model, gate_materials: Materials) -> None:
    ran = gate_version(model, "3", "--audit", gate_materials.labeled)
    assert ran.code == 1, ran.err
    assert (model.champion, model.tags("3")["defuse.verdict"]) == ("1", "FAIL")


def test_on_inconclusive_the_alias_stays(gate_version: Gate, model: Model, gate_materials: Materials) -> None:
    ran = gate_version(model, "2", "--audit", gate_materials.unlabeled)
    assert ran.code == 2, ran.err
    assert (model.champion, model.tags("2")["defuse.verdict"]) == ("1", "INCONCLUSIVE")


def test_when_the_service_is_down_nothing_is_tagged_or_moved(
    gate_version: Gate, model: Model, gate_materials: Materials
) -> None:
    ran = gate_version(model, "2", "--audit", gate_materials.labeled, address="127.0.0.1:1")
    assert ran.code == 69, ran.err
    assert (model.champion, model.tags("2")) == ("1", {})


def test_when_mlflow_is_down_the_exit_code_says_unavailable(
    gate_version: Gate, model: Model, gate_materials: Materials
) -> None:
    ran = gate_version(model, "2", "--audit", gate_materials.labeled, uri="http://127.0.0.1:1")
    assert ran.code == 69, ran.err
    assert model.champion == "1"


def test_the_models_tags_stand_for_options(
    gate_version: Gate, model: Model, gate_materials: Materials
) -> None:
    model.client.set_registered_model_tag(model.name, "defuse.audit", gate_materials.labeled)
    ran = gate_version(model, "3")
    assert ran.code == 1, ran.err


def test_weights_beside_the_model_are_an_error_that_says_how_to_log_it(
    gate_version: Gate, model: Model, gate_materials: Materials
) -> None:
    (version,) = model.log("better", kind="external")
    ran = gate_version(model, version, "--audit", gate_materials.labeled)
    assert ran.code == 64, ran.err
    assert "save_as_external_data=False" in ran.err
    assert (model.champion, model.tags(version)) == ("1", {})


def test_a_model_of_another_flavour_is_an_error(
    gate_version: Gate, model: Model, gate_materials: Materials
) -> None:
    (version,) = model.log("better", kind="python")
    ran = gate_version(model, version, "--audit", gate_materials.labeled)
    assert ran.code == 64, ran.err
    assert "its flavours are python_function" in ran.err


def test_what_mlflow_does_not_have_is_named(
    gate_version: Gate, model: Model, gate_materials: Materials
) -> None:
    missing = gate_version(model, "99", "--audit", gate_materials.labeled)
    assert (missing.code, "version=99) not found" in missing.err) == (64, True)
    model.client.delete_registered_model_alias(model.name, "champion")
    unset = gate_version(model, "2", "--audit", gate_materials.labeled)
    assert unset.code == 64
    assert f'set_registered_model_alias("{model.name}", "champion", VERSION)' in unset.err


def test_a_version_without_its_files_is_an_error(
    gate_version: Gate, model: Model, gate_materials: Materials
) -> None:
    (model.artifacts("2") / "MLmodel").unlink()
    ran = gate_version(model, "2", "--audit", gate_materials.labeled)
    assert ran.code == 64, ran.err
    assert "expected an MLmodel file" in ran.err


@pytest.fixture
def client(gate_materials: Materials) -> Iterator[defuse.Client]:
    with defuse.Client(gate_materials.address) as client:
        yield client


def test_bytes_that_change_in_mlflow_meanwhile_promote_nothing(
    client: defuse.Client, model: Model, gate_materials: Materials
) -> None:
    file = model.artifacts("2") / "model.onnx"
    request = GateRequest(model.name, "2", "champion", gate_materials.labeled, policy=POLICY)
    with pytest.raises(VersionChanged, match="changed while it was evaluated"):
        client.run_flow(
            gate(
                MlflowRegistry(model.server.uri),
                request,
                on_update=lambda job: file.write_bytes(b"others") and None,
            )
        )
    assert (model.champion, model.tags("2")) == ("1", {})

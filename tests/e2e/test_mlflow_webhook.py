"""`defuse-server mlflow-webhook` told of new versions by a real MLflow server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.e2e.gate_materials import POLICY, Materials
from tests.e2e.mlflow_model import Model
from tests.e2e.mlflow_server import MlflowServer

pytestmark = [
    pytest.mark.timeout(600),  # the first of them installs MLflow
    pytest.mark.xdist_group("mlflow"),
]

SECRET = "a secret of the test"
PATIENCE_S = 120.0


class Receiver:
    """A `defuse-server mlflow-webhook`, with its log in a file."""

    def __init__(self, folder: Path, uri: str, address: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEFUSE_")}
        ours = {
            "DEFUSE_MLFLOW_WEBHOOK_SECRET": SECRET,
            "DEFUSE_MLFLOW_TRACKING_URI": uri,
            "DEFUSE_MLFLOW_WEBHOOK_ADDRESS": "127.0.0.1:0",
            "DEFUSE_ADDRESS": address,
            "DEFUSE_STATE_DIR": str(folder),
            "DEFUSE_LEASE_S": "1",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        }
        self._log = folder / "receiver.log"
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "defuse_server", "mlflow-webhook"],
                env=inherited | ours,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("webhook: "), self.log
        self.url = line.removeprefix("webhook: ").strip()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """As the machine would, with no chance to tidy up."""
        self.process.kill()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


Start = Callable[..., Receiver]


@pytest.fixture
def start(mlflow_server: MlflowServer, gate_materials: Materials, tmp_path: Path) -> Iterator[Start]:
    """Start a receiver on the test's one state folder."""
    started: list[Receiver] = []

    def starting(address: str = gate_materials.address) -> Receiver:
        started.append(Receiver(tmp_path, mlflow_server.uri, address))
        return started[-1]

    yield starting
    for receiver in started:
        if receiver.process.poll() is None:
            receiver.kill()


@pytest.fixture
def subscribe(mlflow_server: MlflowServer) -> Iterator[Callable[..., Any]]:
    """Have MLflow tell a URL of new versions, until the test ends."""
    client = MlflowClient(mlflow_server.uri, mlflow_server.uri)
    made: list[str] = []

    def subscribing(url: str, secret: str = SECRET) -> Any:
        webhook = client.create_webhook(f"w{time.time_ns()}", url, ["model_version.created"], secret=secret)
        made.append(webhook.webhook_id)
        return client.test_webhook(webhook.webhook_id)

    yield subscribing
    for webhook in made:
        client.delete_webhook(webhook)


@pytest.fixture
def model(mlflow_server: MlflowServer, gate_materials: Materials) -> Model:
    """Its tags ask for the gate."""
    model = Model(mlflow_server, gate_materials)
    model.client.set_registered_model_tag(model.name, "defuse.alias", "champion")
    model.client.set_registered_model_tag(model.name, "defuse.audit", gate_materials.labeled)
    model.client.set_registered_model_tag(model.name, "defuse.policy", POLICY)
    return model


def eventually(condition: Callable[[], Any], receiver: Receiver) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (holds := condition()):
        assert time.monotonic() < deadline, receiver.log
        assert receiver.process.poll() is None, receiver.log
        time.sleep(0.3)
    return holds


def test_new_versions_are_gated_by_themselves(
    start: Start,
    subscribe: Callable[..., Any],
    model: Model,
    mlflow_server: MlflowServer,
    gate_materials: Materials,
) -> None:
    receiver = start()
    tested = subscribe(receiver.url)
    assert (tested.success, tested.response_status) == (True, 202)

    untagged = Model(mlflow_server, gate_materials)
    (other,) = untagged.log("better")
    (worse,) = model.log("worse")
    (better,) = model.log("better")
    eventually(lambda: model.champion == better, receiver)
    assert model.tags(worse)["defuse.verdict"] == "FAIL"
    assert model.tags(better)["defuse.verdict"] == "PASS"
    assert (untagged.champion, untagged.tags(other)) == ("1", {})


def test_a_webhook_with_another_secret_starts_nothing(
    start: Start, subscribe: Callable[..., Any], model: Model
) -> None:
    receiver = start()
    tested = subscribe(receiver.url, secret="not the secret")
    assert (tested.success, tested.response_status) == (False, 401)
    (better,) = model.log("better")
    eventually(lambda: receiver.log.count("webhook.refused") >= 2, receiver)
    assert "webhook.accepted" not in receiver.log
    assert (model.champion, model.tags(better)) == ("1", {})


def test_what_was_accepted_is_gated_after_a_crash_and_not_before_the_service_is_there(
    start: Start, subscribe: Callable[..., Any], model: Model
) -> None:
    cut_off = start(address="127.0.0.1:1")
    subscribe(cut_off.url)
    (better,) = model.log("better")
    eventually(lambda: f'"model": "{model.name}"' in cut_off.log, cut_off)
    cut_off.kill()
    assert (model.champion, model.tags(better)) == ("1", {})

    receiver = start()
    eventually(lambda: model.champion == better, receiver)
    assert model.tags(better)["defuse.verdict"] == "PASS"


def test_an_error_of_the_users_is_told_at_the_version(
    start: Start, subscribe: Callable[..., Any], model: Model, gate_materials: Materials
) -> None:
    receiver = start()
    subscribe(receiver.url)
    (python,) = model.log("better", kind="python")
    said = eventually(lambda: model.tags(python).get("defuse.error"), receiver)
    assert "its flavours are python_function" in said
    model.client.set_registered_model_tag(model.name, "defuse.audit", f"{gate_materials.labeled[:-6]}000000")
    (better,) = model.log("better")
    assert "does not exist" in eventually(lambda: model.tags(better).get("defuse.error"), receiver)
    assert model.champion == "1"


def test_without_secret_or_address_it_does_not_start(mlflow_server: MlflowServer) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DEFUSE_")}
    command = [sys.executable, "-m", "defuse_server", "mlflow-webhook"]
    for settings, said in (
        ({"DEFUSE_MLFLOW_TRACKING_URI": mlflow_server.uri}, "DEFUSE_MLFLOW_WEBHOOK_SECRET"),
        ({"DEFUSE_MLFLOW_WEBHOOK_SECRET": SECRET}, "DEFUSE_MLFLOW_TRACKING_URI"),
        (
            {
                "DEFUSE_MLFLOW_TRACKING_URI": mlflow_server.uri,
                "DEFUSE_MLFLOW_WEBHOOK_SECRET": SECRET,
                "DEFUSE_MLFLOW_WEBHOOK_ADDRESS": "0.0.0.0:0",
            },
            "missing: --tls-cert and --tls-key.",
        ),
    ):
        ran = subprocess.run(command, env=inherited | settings, capture_output=True, text=True, timeout=60)
        assert (ran.returncode, said in ran.stderr) == (64, True), ran.stderr

"""A model in MLflow's registry, for tests."""

from __future__ import annotations

import itertools
from pathlib import Path

from mlflow import MlflowClient

from tests.e2e.gate_materials import Materials
from tests.e2e.mlflow_server import MlflowServer

_names = itertools.count()


class Model:
    """A registered model whose version 1 is the baseline and bears `champion`; `others` are 2, 3, ..."""

    def __init__(self, server: MlflowServer, materials: Materials, *others: str) -> None:
        self.name = f"digits-{next(_names)}"
        self.server = server
        self.client = MlflowClient(server.uri, server.uri)
        self._files = materials.files
        self.log("baseline", *others)
        self.client.set_registered_model_alias(self.name, "champion", "1")

    def log(self, *names: str, kind: str = "onnx") -> list[str]:
        """Log classifiers as new versions; return their numbers."""
        return self.server.log(self.name, *(self._files[name] for name in names), kind=kind)

    @property
    def champion(self) -> str:
        return str(self.client.get_registered_model(self.name).aliases["champion"])

    def tags(self, version: str) -> dict[str, str]:
        return dict(self.client.get_model_version(self.name, version).tags)

    def artifacts(self, version: str) -> Path:
        """Where the server keeps a version's files."""
        location = self.client.get_model_version_download_uri(self.name, version)
        return self.server.artifacts / location.removeprefix("mlflow-artifacts:/")

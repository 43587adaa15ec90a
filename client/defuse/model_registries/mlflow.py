"""MLflow 3 as a model registry: the versions' ONNX flavour, their tags, artifacts and aliases.

Needs the extra `mlflow`. Artifacts are reached as MLflow's own client does it: through the tracking server,
or in the store that the version's source names. A store such as `s3://...` needs its package and credentials
here.
"""

import logging
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from defuse.model_registries.errors import AliasMoved, RegistryError, RegistryUnavailable
from defuse.model_registries.registry import OnnxFile

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

_DESCRIPTION = "MLmodel"
_LARGEST_DESCRIPTION_BYTES = 1 << 20


class MlflowRegistry:
    """See the module and `Registry`.

    MLflow has no compare-and-set for aliases: another client may move an alias between the moments when
    `move_alias` reads it and sets it. Let only one gate move an alias.
    """

    def __init__(self, tracking_uri: str | None = None) -> None:
        """Connect to `tracking_uri`, by default MLFLOW_TRACKING_URI. It becomes that of the whole process.

        Raises `RegistryError` if there is neither, or if the extra is not installed.
        """
        uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            raise RegistryError(
                "expected MLflow's address in --tracking-uri or MLFLOW_TRACKING_URI, got neither"
            )
        # MLflow's own default tries for four minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        mlflow = _imported()
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        self._uri = uri
        self._client = mlflow.MlflowClient(uri, uri)

    def fetch(self, model: str, version: str, folder: Path) -> OnnxFile:
        """Download the file that the MLmodel file's ONNX flavour names."""
        with _translated(f"{model} version {version}"):
            repository = self._artifacts(model, version)
            if _DESCRIPTION not in {file.path for file in repository.list_artifacts()}:
                raise RegistryError(
                    f"expected an {_DESCRIPTION} file of {model} version {version}, found none at "
                    f"{repository.artifact_uri}. Log the model with mlflow.onnx.log_model"
                )
            description = Path(repository.download_artifacts(_DESCRIPTION, str(folder)))
            data = _onnx_file(description, f"{model} version {version}")
            return OnnxFile.of(Path(repository.download_artifacts(data, str(folder))))

    def aliased_version(self, model: str, alias: str) -> str:
        """Return the version that the alias points to."""
        version = self._model(model).aliases.get(alias)
        if version is None:
            raise RegistryError(
                f"expected the alias {alias} at the version of {model} that is in use, found no such alias. "
                "Set it once by hand, on the model's page or with "
                f'MlflowClient().set_registered_model_alias("{model}", "{alias}", VERSION)'
            )
        return str(version)

    def tags(self, model: str, version: str | None = None) -> dict[str, str]:
        """Return the tags of a model version, or of the registered model."""
        if version is None:
            return dict(self._model(model).tags)
        with _translated(f"{model} version {version}"):
            return dict(self._client.get_model_version(model, version).tags)

    def tag(self, model: str, version: str, tags: Mapping[str, str | None]) -> None:
        """Set tags of a model version, one by one in their order."""
        with _translated(f"{model} version {version}"):
            for name, value in tags.items():
                if value is None:
                    self._client.delete_model_version_tag(model, version, name)
                else:
                    self._client.set_model_version_tag(model, version, name, value)

    def attach(self, model: str, version: str, files: Sequence[Path], folder: str) -> None:
        """Log the files as artifacts beside the version's model."""
        with _translated(f"{model} version {version}"):
            repository = self._artifacts(model, version)
            for file in files:
                repository.log_artifact(str(file), folder)

    def move_alias(self, model: str, alias: str, version: str, *, expected: str) -> None:
        """Read the alias, then set it."""
        found = self.aliased_version(model, alias)
        if found != expected:
            raise AliasMoved(f"expected {alias} of {model} at version {expected}, it is at {found}")
        with _translated(f"{model} version {version}"):
            self._client.set_registered_model_alias(model, alias, version)

    def _model(self, model: str) -> "RegisteredModel":
        with _translated(f"the registered model {model}"):
            return self._client.get_registered_model(model)

    def _artifacts(self, model: str, version: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        location = self._client.get_model_version_download_uri(model, version)
        return get_artifact_repository(location, tracking_uri=self._uri, registry_uri=self._uri)


def _imported() -> Any:
    try:
        import mlflow
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"expected MLflow's client, which is not installed ({error}): pip install 'defuse-audit[mlflow]'"
        ) from error
    # Its lines about retries would appear between ours.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    return mlflow


def _onnx_file(description: Path, what: str) -> str:
    """Return the path of the ONNX file, within the model's artifacts, that an MLmodel file names."""
    import yaml

    if description.stat().st_size > _LARGEST_DESCRIPTION_BYTES:
        raise RegistryError(f"expected an {_DESCRIPTION} file of at most 1 MiB for {what}, got a larger one")
    try:
        flavors: dict[str, Any] = yaml.safe_load(description.read_bytes())["flavors"]
        names = sorted(flavors)
        data = flavors["onnx"]["data"] if "onnx" in flavors else None
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise RegistryError(f"the {_DESCRIPTION} file of {what} can't be read: {error!r}") from error
    if not isinstance(data, str):
        raise RegistryError(
            f"expected an ONNX model in {what}, but its flavours are {', '.join(names)}. "
            "Export it to ONNX and log it with mlflow.onnx.log_model"
        )
    path = PurePosixPath(data)
    if path.is_absolute() or ".." in path.parts:
        raise RegistryError(f"expected the ONNX file of {what} among its artifacts, got {data!r}")
    return data


@contextmanager
def _translated(what: str) -> Generator[None]:
    """Turn errors of MLflow's client into ours: the server's refusals are final, others may pass."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield
    except MlflowException as error:
        # MLflow's client uses the code of a server's error also for calls that never reached the server.
        status: int = error.get_http_status_code()
        if status < 500 and status != 429:
            raise RegistryError(f"MLflow refuses {what}: {error.message}") from error
        raise RegistryUnavailable(f"MLflow gives no answer about {what}: {error.message}") from error
    except RequestException as error:
        raise RegistryUnavailable(f"MLflow gives no answer about {what}: {error}") from error
    except ModuleNotFoundError as error:
        raise RegistryError(f"the artifact store of {what} needs a package here: {error}") from error

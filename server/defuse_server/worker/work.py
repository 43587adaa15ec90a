"""What each kind of job adds to running the engine: its inputs, and how its result becomes a record."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from defuse.v1 import models_pb2
from defuse.v1.audit_service_pb2 import Audit, RegionSplit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.models_pb2 import Failure, ImageShape
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae, VaeTraining
from google.protobuf.message import Message

from defuse_server.backend import Backend
from defuse_server.worker.engine_events import ChunkReady, EngineWarning, Preflight
from defuse_server.worker.fence import Attempt
from defuse_server.worker.job_folder import JobPlan

if TYPE_CHECKING:
    from defuse_server.worker.supervisor import Supervisor

M = TypeVar("M", Classifier, Vae, Dataset, Audit, RegionSplit, Correction, Evaluation, VaeTraining)

Warned = TypeVar("Warned", Audit, RegionSplit, Correction, Evaluation, VaeTraining)


F = TypeVar("F", bound=Message)


class JobRefused(Exception):
    """The job ends without a result; `failure` tells its owner why."""

    def __init__(self, failure: Failure):
        super().__init__(failure.message)
        self.failure = failure


class Work(ABC, Generic[M]):
    """One job. `message` is its record, which the job fills in."""

    def __init__(self, message: M, attempt: Attempt, backend: Backend, supervisor: "Supervisor"):
        self.message: M = message
        self.attempt = attempt
        self.backend = backend
        self.supervisor = supervisor

    @abstractmethod
    async def plan(self) -> JobPlan | None:
        """Return the engine's task, or None if there is nothing to do and the job has succeeded.

        Raises `NotFound` if a resource that the record names is gone.
        """

    async def on_preflight(self, event: Preflight) -> None:
        """Record the preflight's figures."""

    async def on_warning(self, event: EngineWarning) -> None:
        """Record a warning."""

    async def on_chunk(self, event: ChunkReady, folder: Path) -> None:
        """Publish a finished shard. Raises `Fenced`."""

    @abstractmethod
    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill the engine's result into `message`, and publish what is read beside it.

        A later attempt may call this again, so nothing may be published twice. Raises `Fenced`, `JobRefused`.
        """

    async def give_up(self, failure: Failure) -> None:
        """Publish, beside the record, that there will be no result. A later attempt may call this again."""


class WarnedWork(Work[Warned]):
    """A job whose record shows the engine's warnings."""

    async def on_warning(self, event: EngineWarning) -> None:
        """Show a warning while the job runs."""
        self.message.warnings.append(models_pb2.Warning(reason=event.reason, message=event.message))
        await self.attempt.update(self.message)

    def set_warnings(self, result: Mapping[str, Any]) -> None:
        """Show the warnings of a result.json in place of the earlier ones."""
        del self.message.warnings[:]
        self.message.warnings.extend(models_pb2.Warning(**entry) for entry in result["warnings"])


def figures_of(kind: type[F], result: Mapping[str, Any]) -> F:
    """Return a message with those entries of a result that it has under the same names."""
    known = cast("Any", kind).DESCRIPTOR.fields_by_name
    return kind(**{name: value for name, value in result.items() if name in known})


def image_shape(shape: list[int]) -> ImageShape:
    """Return `[C, H, W]` as a message."""
    channels, height, width = shape
    return ImageShape(channels=channels, height=height, width=width)

"""What one kind of job does beyond running the engine: its inputs, and how its result becomes a record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from defuse.v1 import models_pb2
from defuse.v1.audit_service_pb2 import Audit, RegionSplit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.models_pb2 import Failure, ImageShape
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae, VaeTraining

from defuse_server.backend import Backend
from defuse_server.worker.engine_events import ChunkReady, EngineWarning, Preflight
from defuse_server.worker.fence import Attempt
from defuse_server.worker.job_folder import JobPlan

if TYPE_CHECKING:
    from defuse_server.evidence.signing_key import Signer

M = TypeVar("M", Classifier, Vae, Dataset, Audit, RegionSplit, Correction, Evaluation, VaeTraining)


class RunsJobs(Protocol):
    """Who runs a further job as part of one; the supervisor."""

    @property
    def signer(self) -> Signer | None:
        """What signs evidence; None where the operator gave no key."""
        ...

    async def run(self, name: str) -> None:
        """Run a job from its claim to its end; without effect where another worker has it or it is over."""
        ...


class JobRefused(Exception):
    """The job ends without a result, for a reason that its owner can read."""

    def __init__(self, failure: Failure):
        super().__init__(failure.message)
        self.failure = failure


class Work(ABC, Generic[M]):
    """One job: `message` is its record, and grows what is found out."""

    def __init__(self, message: M, attempt: Attempt, backend: Backend, supervisor: RunsJobs):
        self.message: M = message
        self.attempt = attempt
        self.backend = backend
        self.supervisor = supervisor

    @abstractmethod
    async def plan(self) -> JobPlan | None:
        """What the engine shall do; None: nothing, and the job has succeeded.

        Raises `NotFound` where something that the record names is gone.
        """

    async def on_preflight(self, event: Preflight) -> None:
        """Take down the preflight's figures."""

    async def on_warning(self, event: EngineWarning) -> None:
        """Take down a warning."""

    async def on_chunk(self, event: ChunkReady, folder: Path) -> None:
        """Publish a finished shard; raises `Fenced`."""

    @abstractmethod
    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fold the engine's result into `message`, publishing what is read beside it.

        It may be called again by a later attempt, and must not publish twice. Raises `Fenced`, `JobRefused`.
        """

    async def give_up(self, failure: Failure) -> None:
        """Publish, beside the record, that there will be no result; a later attempt may call it again."""


def warnings_of(result: Mapping[str, Any]) -> Iterable[models_pb2.Warning]:
    """The warnings of a result.json."""
    return [
        models_pb2.Warning(reason=entry["reason"], message=entry["message"]) for entry in result["warnings"]
    ]


def image_shape(shape: list[int]) -> ImageShape:
    """`[C, H, W]` as a message."""
    channels, height, width = shape
    return ImageShape(channels=channels, height=height, width=width)

"""The kinds of resources: their messages and their states."""

from collections.abc import Collection
from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import Audit, RegionSplit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, RegistrationState, Vae, VaeTraining
from google.protobuf.message import Message

from defuse_server.names import REGION_SPLITS, collection_of


@dataclass(frozen=True)
class States:
    """The numbers of a record's states, by their meaning. No state has the number -1."""

    waiting: int
    running: int
    succeeded: int
    failed: int
    cancelling: int = -1
    cancelled: int = -1

    @property
    def final(self) -> frozenset[int]:
        """The states that a record never leaves."""
        return frozenset({self.succeeded, self.failed, self.cancelled})

    @property
    def unfinished(self) -> str:
        """The other states, as the scripts read them: `1,2,5`."""
        states = {self.waiting, self.running, self.cancelling} - {-1}
        return ",".join(map(str, sorted(states)))


_JOB_STATES = States(
    waiting=JobState.JOB_STATE_QUEUED,
    running=JobState.JOB_STATE_RUNNING,
    succeeded=JobState.JOB_STATE_SUCCEEDED,
    failed=JobState.JOB_STATE_FAILED,
    cancelling=JobState.JOB_STATE_CANCELLING,
    cancelled=JobState.JOB_STATE_CANCELLED,
)
# A registration can't be cancelled, and its inspection need not wait.
_REGISTRATION_STATES = States(
    waiting=RegistrationState.REGISTRATION_STATE_INSPECTING,
    running=RegistrationState.REGISTRATION_STATE_INSPECTING,
    succeeded=RegistrationState.REGISTRATION_STATE_READY,
    failed=RegistrationState.REGISTRATION_STATE_REJECTED,
)


@dataclass(frozen=True)
class Kind:
    """One collection of resources."""

    collection: str
    message_type: type[Message]
    states: States = _JOB_STATES
    job: str = ""
    """The operator's word for its jobs, one of `settings.JOB_KINDS`."""
    head_starts: int = 0
    """Jobs with more of them go first, because people wait for them and they take seconds."""

    @property
    def is_job(self) -> bool:
        """Tell whether its resources have a JobState and a Progress, or else a RegistrationState."""
        return self.states is _JOB_STATES


KINDS = (
    Kind("classifiers", Classifier, _REGISTRATION_STATES, "inspection", head_starts=2),
    Kind("vaes", Vae, _REGISTRATION_STATES, "inspection", head_starts=2),
    Kind("datasets", Dataset, _REGISTRATION_STATES, "inspection", head_starts=2),
    Kind("audits", Audit, job="audit"),
    Kind("corrections", Correction, job="correction"),
    Kind("evaluations", Evaluation, job="evaluation"),
    Kind("vaeTrainings", VaeTraining, job="vae-training"),
    Kind(REGION_SPLITS, RegionSplit, job="region-split", head_starts=1),
)

_BY_COLLECTION = {kind.collection: kind for kind in KINDS}
_BY_TYPE: dict[type[Message], Kind] = {kind.message_type: kind for kind in KINDS}


def collections_of(jobs: Collection[str]) -> frozenset[str]:
    """Return the collections whose jobs have these words."""
    return frozenset(kind.collection for kind in KINDS if kind.job in jobs)


def kind_of(name: str) -> Kind:
    """Return the kind of the resource with this name. Raises `InvalidRequest`."""
    return _BY_COLLECTION[collection_of(name)]


def kind_of_type(message_type: type[Message]) -> Kind:
    """Return the kind whose resources are messages of this type."""
    return _BY_TYPE[message_type]

"""The kinds of resources: their messages and their states."""

from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import Audit, RegionSplit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, RegistrationState, Vae, VaeTraining
from google.protobuf.message import Message

from defuse_server.names import REGION_SPLITS, collection_of

JOB_COLLECTIONS = ("audits", "corrections", "evaluations", "vaeTrainings", REGION_SPLITS)
"""Collections of jobs, with a JobState and a Progress. The others have a RegistrationState."""


@dataclass(frozen=True)
class Kind:
    """One collection of resources."""

    collection: str
    message_type: type[Message]
    initial_state: int
    final_states: frozenset[int]

    @property
    def is_job(self) -> bool:
        """Tell whether its resources are jobs, with a JobState and a Progress."""
        return self.collection in JOB_COLLECTIONS


_FINAL_JOB_STATES = frozenset(
    {JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED}
)
_FINAL_REGISTRATION_STATES = frozenset(
    {RegistrationState.REGISTRATION_STATE_READY, RegistrationState.REGISTRATION_STATE_REJECTED}
)


def _registration(collection: str, message_type: type[Message]) -> Kind:
    initial = RegistrationState.REGISTRATION_STATE_INSPECTING
    return Kind(collection, message_type, initial, _FINAL_REGISTRATION_STATES)


def _job(collection: str, message_type: type[Message]) -> Kind:
    return Kind(collection, message_type, JobState.JOB_STATE_QUEUED, _FINAL_JOB_STATES)


KINDS = (
    _registration("classifiers", Classifier),
    _registration("vaes", Vae),
    _registration("datasets", Dataset),
    _job("audits", Audit),
    _job("corrections", Correction),
    _job("evaluations", Evaluation),
    _job("vaeTrainings", VaeTraining),
    _job(REGION_SPLITS, RegionSplit),
)

_BY_COLLECTION = {kind.collection: kind for kind in KINDS}
_BY_TYPE: dict[type[Message], Kind] = {kind.message_type: kind for kind in KINDS}


def kind_of(name: str) -> Kind:
    """Return the kind of the resource with this name. Raises `InvalidRequest`."""
    return _BY_COLLECTION[collection_of(name)]


def kind_of_type(message_type: type[Message]) -> Kind:
    """Return the kind whose resources are messages of this type."""
    return _BY_TYPE[message_type]

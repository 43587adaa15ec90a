"""What both clients have: their arguments and their methods."""

import os
from typing import Any, TypeVar

from google.protobuf.message import Message

from defuse._calls.connection import Connection
from defuse._calls.methods import FlowMethod, StreamMethod
from defuse._calls.steps import DEFAULT_TIMEOUT_S
from defuse._operations import (
    audits,
    corrections,
    evaluations,
    jobs,
    label_files,
    labels,
    push,
    resources,
    service,
    transfer,
    vae_trainings,
)
from defuse._operations.resources import Kind
from defuse.messages import JobState, RegistrationState

R = TypeVar("R", bound=Message)
S = TypeVar("S", JobState, RegistrationState)


# The return types of the next three are inferred: Python can't spell parameters that go by keyword.
def _get(kind: Kind[R, S], noun: str):
    return FlowMethod(kind.get, f"Return {noun} as it stands. Raises `NotFound`.")


def _list(kind: Kind[R, S], nouns: str, state: str):
    return StreamMethod(
        kind.list_all, f"Yield all {nouns}, or those in a state (`{state}`, ...), newest first."
    )


def _delete(kind: Kind[R, S], noun: str, unless: str):
    return FlowMethod(kind.delete, f"Delete {noun}. Raises `NotFound`, or `FailedPrecondition` if {unless}.")


_USED = "an audit, a correction or an evaluation refers to it"


class BaseClient:
    """See `Client`. Most methods are documented where their flow is written."""

    _grpc: Any
    """The library that opens channels: `grpc` or `grpc.aio`."""

    def __init__(
        self,
        address: str | None = None,
        token: str | None = None,
        *,
        tls_ca: str | os.PathLike[str] | None = None,
        tls: bool = False,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
    ) -> None:
        connection = Connection.resolve(address, token, tls_ca, tls)
        self.address = connection.address
        self.timeout_s = timeout_s
        self._token = connection.token
        self._channel = connection.open(self._grpc)

    service_status = FlowMethod(service.service_status)

    upload = FlowMethod(transfer.upload)
    download = FlowMethod(transfer.download)
    get_artifact = FlowMethod(transfer.get_artifact)

    push_classifier = FlowMethod(push.push_classifier)
    push_vae = FlowMethod(push.push_vae)
    push_dataset = FlowMethod(push.push_dataset)
    get_classifier = _get(resources.CLASSIFIERS, "a classifier")
    get_vae = _get(resources.VAES, "a VAE")
    get_dataset = _get(resources.DATASETS, "a dataset")
    list_classifiers = _list(resources.CLASSIFIERS, "classifiers", "ready")
    list_vaes = _list(resources.VAES, "VAEs", "ready")
    list_datasets = _list(resources.DATASETS, "datasets", "ready")
    delete_classifier = _delete(resources.CLASSIFIERS, "a classifier", _USED)
    delete_vae = _delete(resources.VAES, "a VAE", _USED)
    delete_dataset = _delete(resources.DATASETS, "a dataset", _USED)

    train_vae = FlowMethod(vae_trainings.train_vae)
    get_vae_training = _get(resources.VAE_TRAININGS, "a training")
    list_vae_trainings = _list(resources.VAE_TRAININGS, "trainings", "running")
    delete_vae_training = _delete(resources.VAE_TRAININGS, "a training, not its VAE", "it has not ended")

    start_audit = FlowMethod(audits.start_audit)
    get_audit = _get(resources.AUDITS, "an audit")
    list_audits = _list(resources.AUDITS, "audits", "running")
    delete_audit = _delete(
        resources.AUDITS, "an audit with its regions and labels", f"it has not ended or {_USED}"
    )
    misclassifications = StreamMethod(audits.misclassifications)
    misclassification_batches = StreamMethod(audits.misclassification_batches)
    regions = StreamMethod(audits.regions)
    get_region = FlowMethod(audits.get_region)
    get_region_split = FlowMethod(audits.get_region_split)
    list_regions = StreamMethod(audits.list_regions)
    bugs = StreamMethod(audits.bugs)
    get_bug = FlowMethod(audits.get_bug)
    list_bugs = StreamMethod(audits.list_bugs)

    watch = StreamMethod(jobs.watch)
    wait = FlowMethod(jobs.wait)
    cancel = FlowMethod(jobs.cancel)

    lease_tasks = FlowMethod(labels.lease_tasks)
    extend_lease = FlowMethod(labels.extend_lease)
    submit_label = FlowMethod(labels.submit_label)
    undo_label = FlowMethod(labels.undo_label)
    release_task = FlowMethod(labels.release_task)
    skip_task = FlowMethod(labels.skip_task)
    list_tasks = StreamMethod(labels.list_tasks)
    get_labeling_progress = FlowMethod(labels.get_labeling_progress)
    get_labeling_report = FlowMethod(labels.get_labeling_report)
    export_label_tasks = FlowMethod(label_files.export_label_tasks)
    import_labels = FlowMethod(label_files.import_labels)

    correct = FlowMethod(corrections.correct)
    get_correction = _get(resources.CORRECTIONS, "a correction")
    list_corrections = _list(resources.CORRECTIONS, "corrections", "running")
    delete_correction = _delete(
        resources.CORRECTIONS, "a correction, not its corrected classifier", "it has not ended"
    )

    evaluate = FlowMethod(evaluations.evaluate)
    get_evaluation = _get(resources.EVALUATIONS, "an evaluation")
    list_evaluations = _list(resources.EVALUATIONS, "evaluations", "running")
    delete_evaluation = _delete(resources.EVALUATIONS, "an evaluation", "it has not ended")

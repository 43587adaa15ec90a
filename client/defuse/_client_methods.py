"""All methods of the clients, sync and async."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message

from defuse import (
    _audits,
    _corrections,
    _evaluations,
    _findings,
    _jobs,
    _label_files,
    _labels,
    _push,
    _transfer,
    _vae_trainings,
)
from defuse._flow_method import FlowMethod, StreamMethod
from defuse._resources import (
    AUDITS,
    CLASSIFIERS,
    CORRECTIONS,
    DATASETS,
    EVALUATIONS,
    VAE_TRAININGS,
    VAES,
    Kind,
)
from defuse.v1.models_pb2 import JobState
from defuse.v1.registry_service_pb2 import RegistrationState

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


class ClientMethods:
    """The methods that both clients have. Most are documented where their flow is written."""

    upload = FlowMethod(_transfer.upload)
    download = FlowMethod(_transfer.download)
    get_artifact = FlowMethod(_transfer.get_artifact)

    push_classifier = FlowMethod(_push.push_classifier)
    push_vae = FlowMethod(_push.push_vae)
    push_dataset = FlowMethod(_push.push_dataset)
    get_classifier = _get(CLASSIFIERS, "a classifier")
    get_vae = _get(VAES, "a VAE")
    get_dataset = _get(DATASETS, "a dataset")
    list_classifiers = _list(CLASSIFIERS, "classifiers", "ready")
    list_vaes = _list(VAES, "VAEs", "ready")
    list_datasets = _list(DATASETS, "datasets", "ready")
    delete_classifier = _delete(CLASSIFIERS, "a classifier", _USED)
    delete_vae = _delete(VAES, "a VAE", _USED)
    delete_dataset = _delete(DATASETS, "a dataset", _USED)

    train_vae = FlowMethod(_vae_trainings.train_vae)
    get_vae_training = _get(VAE_TRAININGS, "a training")
    list_vae_trainings = _list(VAE_TRAININGS, "trainings", "running")

    start_audit = FlowMethod(_audits.start_audit)
    get_audit = _get(AUDITS, "an audit")
    list_audits = _list(AUDITS, "audits", "running")
    delete_audit = _delete(AUDITS, "an audit with its regions and labels", f"it has not ended or {_USED}")
    misclassifications = StreamMethod(_findings.misclassifications)
    misclassification_batches = StreamMethod(_findings.misclassification_batches)
    regions = StreamMethod(_findings.regions)
    get_region = FlowMethod(_findings.get_region)
    get_region_split = FlowMethod(_findings.get_region_split)
    list_regions = StreamMethod(_findings.list_regions)

    watch = StreamMethod(_jobs.watch)
    wait = FlowMethod(_jobs.wait)
    cancel = FlowMethod(_jobs.cancel)

    lease_tasks = FlowMethod(_labels.lease_tasks)
    extend_lease = FlowMethod(_labels.extend_lease)
    submit_label = FlowMethod(_labels.submit_label)
    undo_label = FlowMethod(_labels.undo_label)
    release_task = FlowMethod(_labels.release_task)
    skip_task = FlowMethod(_labels.skip_task)
    list_tasks = StreamMethod(_labels.list_tasks)
    get_labeling_progress = FlowMethod(_labels.get_labeling_progress)
    get_labeling_report = FlowMethod(_labels.get_labeling_report)
    export_label_tasks = FlowMethod(_label_files.export_label_tasks)
    import_labels = FlowMethod(_label_files.import_labels)

    correct = FlowMethod(_corrections.correct)
    get_correction = _get(CORRECTIONS, "a correction")
    list_corrections = _list(CORRECTIONS, "corrections", "running")

    evaluate = FlowMethod(_evaluations.evaluate)
    get_evaluation = _get(EVALUATIONS, "an evaluation")
    list_evaluations = _list(EVALUATIONS, "evaluations", "running")

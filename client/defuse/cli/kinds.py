"""The kinds of resources, as `defuse list`, `show` and `delete` tell of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from defuse._enum_name import enum_name
from defuse._operations import resources
from defuse._operations.resources import Kind
from defuse.cli.audit_text import write_audit
from defuse.cli.correct import write_correction
from defuse.cli.figures import share, when
from defuse.cli.registration_text import items, write_classifier, write_dataset, write_vae
from defuse.cli.vae import write_training
from defuse.cli.verdict_table import write_evaluation
from defuse.client import Client
from defuse.errors import ArgumentError, Job, Registration
from defuse.messages import Audit, Classifier, Correction, Dataset, Evaluation, Vae, VaeTraining, Verdict

Resource = Job | Registration


@dataclass(frozen=True)
class Found:
    """How the command line tells of one kind of resource."""

    kind: Kind[Any, Any]
    columns: Callable[[Any], dict[str, object]]
    """What a row of a list has of its own."""
    write: Callable[[Any], None]
    references: Callable[[Any], tuple[str, ...]] = lambda resource: ()
    """Names of the resources that one refers to; some may be empty."""
    digests: Callable[[Any], tuple[str, ...]] | None = None
    """SHA-256s of the files and labels that one stands on. None: this kind has none."""
    deletes_too: str = ""

    @property
    def list_field(self) -> str:
        """Name of the list's field in the API, such as `vae_trainings`."""
        return f"{self.kind.field}s"

    def get(self, client: Client, name: str) -> Any:
        """Return a resource of this kind. Raises `NotFound`."""
        return client.run_flow(self.kind.get(name, timeout_s=client.timeout_s))

    def row(self, resource: Any) -> dict[str, object]:
        """Return a resource as a row of a list."""
        registered = isinstance(resource, Registration)
        created = resource.create_time if registered else resource.times.create_time
        return {
            "name": resource.name,
            "display name": resource.display_name,
            "state": self.state(resource),
            **self.columns(resource),
            "created": when(created),
        }

    def state(self, resource: Any) -> str:
        """Return the name of a resource's state."""
        return enum_name(self.kind.states, resource.state)


def _classifier_columns(classifier: Classifier) -> dict[str, object]:
    made = classifier.lineage.correction
    return {"classes": classifier.class_count or "", "made by": made, "file": _short(classifier.artifact)}


def _classifier_references(classifier: Classifier) -> tuple[str, ...]:
    made = classifier.lineage
    return made.correction, made.audit, made.parent, classifier.dataset


def _vae_columns(vae: Vae) -> dict[str, object]:
    file = _short(vae.encoder_artifact)
    return {"latent size": vae.latent_size or "", "made by": vae.training, "file": file}


def _dataset_columns(dataset: Dataset) -> dict[str, object]:
    return {
        "classes": len(dataset.class_names) or "",
        "items": items(dataset),
        "file": _short(dataset.artifact),
    }


def _audit_columns(audit: Audit) -> dict[str, object]:
    return {
        "classifier": audit.classifier,
        "misclassifications": audit.misclassification_count,
        "regions": audit.region_count,
    }


def _training_columns(training: VaeTraining) -> dict[str, object]:
    made = training.vae
    return {
        "dataset": training.dataset,
        "readability": share(training.readability) if made else "",
        "vae": made,
    }


def _correction_columns(correction: Correction) -> dict[str, object]:
    return {"audit": correction.audit, "corrected classifier": correction.corrected_classifier}


def _evaluation_columns(evaluation: Evaluation) -> dict[str, object]:
    return {
        "baseline": evaluation.baseline,
        "candidate": evaluation.candidate,
        "verdict": verdict(evaluation),
    }


def verdict(evaluation: Evaluation) -> str:
    """Return the verdict's name, or an empty text before there is one."""
    return enum_name(Verdict, evaluation.verdict) if evaluation.verdict else ""


def _evaluation_digests(evaluation: Evaluation) -> tuple[str, ...]:
    return (
        *(evaluation.baseline_sha256, evaluation.candidate_sha256, evaluation.dataset_sha256),
        *(evaluation.encoder_sha256, evaluation.decoder_sha256, evaluation.policy_sha256),
        *(evaluation.label_set_digest, evaluation.input_digest),
    )


def _short(artifact: str) -> str:
    """Return the beginning of an artifact's digest, which `defuse list --digest` finds again."""
    return artifact.removeprefix("artifacts/")[:12]


KINDS: Mapping[str, Found] = {
    "classifiers": Found(
        resources.CLASSIFIERS,
        _classifier_columns,
        write_classifier,
        references=_classifier_references,
        digests=lambda one: (one.artifact, one.lineage.label_set_digest),
    ),
    "vaes": Found(
        resources.VAES,
        _vae_columns,
        write_vae,
        references=lambda one: (one.training,),
        digests=lambda one: (one.encoder_artifact, one.decoder_artifact),
    ),
    "datasets": Found(
        resources.DATASETS, _dataset_columns, write_dataset, digests=lambda one: (one.artifact,)
    ),
    "audits": Found(
        resources.AUDITS,
        _audit_columns,
        write_audit,
        references=lambda one: (one.classifier, one.vae, one.dataset),
        deletes_too="its regions, bugs and labels",
    ),
    "vaeTrainings": Found(
        resources.VAE_TRAININGS,
        _training_columns,
        write_training,
        references=lambda one: (one.classifier, one.dataset),
    ),
    "corrections": Found(
        resources.CORRECTIONS,
        _correction_columns,
        write_correction,
        references=lambda one: (one.audit,),
        digests=lambda one: (one.label_set_digest,),
    ),
    "evaluations": Found(
        resources.EVALUATIONS,
        _evaluation_columns,
        write_evaluation,
        references=lambda one: (one.baseline, one.candidate, one.audit),
        digests=_evaluation_digests,
    ),
}
"""By collection, the beginning of the names."""


def found_kind(name: str) -> Found:
    """Return the kind of the resource with this name. Raises `ArgumentError` for a name of none."""
    collection, _, rest = name.partition("/")
    if collection not in KINDS or not rest or "/" in rest:
        known = ", ".join(f"{collection}/ID" for collection in KINDS)
        raise ArgumentError(f"expected a name such as {known}; got {name!r}")
    return KINDS[collection]

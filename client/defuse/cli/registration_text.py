"""Classifiers, VAEs and datasets as text."""

from pathlib import Path

from defuse._enum_name import enum_name
from defuse.cli.figures import share, when
from defuse.cli.output import write_facts
from defuse.messages import (
    Classifier,
    Dataset,
    DatasetDuplicates,
    ImageShape,
    RegistrationState,
    Vae,
)

Registration = Classifier | Vae | Dataset
Fact = tuple[str, object]


def write_classifier(classifier: Classifier) -> None:
    """Write what a classifier is, and what its inspection found."""
    write_facts(
        *_beginning(classifier),
        ("classes", classifier.class_count or None),
        ("images", _shape(classifier.image_shape)),
        ("can't be corrected", ", ".join(classifier.undifferentiable_operations)),
        ("accuracy", _accuracy(classifier)),
        ("measured on", classifier.dataset),
        ("corrected from", classifier.lineage.parent),
        ("corrected by", classifier.lineage.correction),
        ("file", classifier.artifact),
        *_end(classifier),
    )


def write_vae(vae: Vae) -> None:
    """Write what a VAE is, and what its inspection found."""
    tensors = vae.tensors
    names = (tensors.mu, tensors.spread, tensors.code, tensors.image) if tensors.mu else ()
    write_facts(
        *_beginning(vae),
        ("latent size", vae.latent_size or None),
        ("images", _shape(vae.image_shape)),
        ("tensors", ", ".join(filter(None, names))),
        ("trained by", vae.training),
        ("encoder", vae.encoder_artifact),
        ("decoder", vae.decoder_artifact),
        *_end(vae),
    )


def write_dataset(dataset: Dataset, sheet: Path | None = None) -> None:
    """Write what a dataset holds, what its inspection found, and where its picture was saved."""
    ready = dataset.state == RegistrationState.REGISTRATION_STATE_READY
    drawn, classes = len(dataset.class_sheet.labels), len(dataset.class_names)
    write_facts(
        *_beginning(dataset),
        ("classes", ", ".join(dataset.class_names)),
        ("items", items(dataset)),
        ("images", f"{_shape(dataset.image_shape)}, {dataset.dtype}" if dataset.dtype else ""),
        ("values", f"{dataset.value_min:g} to {dataset.value_max:g}" if ready else ""),
        *[("duplicates", _duplicates(found)) for found in dataset.duplicates],
        ("picture", f"{sheet} ({drawn} of {classes} classes)" if sheet else ""),
        ("file", dataset.artifact),
        ("page", f"/{dataset.name} on the server's pages"),
        *_end(dataset),
    )


def items(dataset: Dataset) -> str:
    """Return how many items each split has."""
    return ", ".join(f"{split.size} {split.split}" for split in dataset.splits)


def _beginning(registered: Registration) -> list[Fact]:
    return [
        ("name", registered.name),
        ("display name", registered.display_name),
        ("state", enum_name(RegistrationState, registered.state)),
        ("failure", registered.failure.message),
    ]


def _end(registered: Registration) -> list[Fact]:
    warnings = [("warning", f"{warning.reason}: {warning.message}") for warning in registered.warnings]
    return [("created", when(registered.create_time)), *warnings]


def _accuracy(classifier: Classifier) -> str:
    measured = classifier.dataset_accuracy
    return f"{share(measured.value)} of {measured.samples} validation items" if measured.samples else ""


def _duplicates(found: DatasetDuplicates) -> str:
    return (
        f"{found.split} in {found.other_split}: {found.same_count} of {found.size} the same, "
        f"{found.near_count} near in a sample of {found.sample_size}"
    )


def _shape(shape: ImageShape) -> str:
    return f"{shape.channels} x {shape.height} x {shape.width}" if shape.height else ""

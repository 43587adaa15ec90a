"""Checks that a classifier, a VAE and a dataset fit together, as far as their inspections show.

Each function raises `Mismatched` unless it names another error.
"""

from math import prod

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.models_pb2 import ImageShape, Layout, Preprocessing
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae

from defuse_server.errors import CandidateChanged, Mismatched, NotDifferentiable
from defuse_server.jobs.job_inputs import JobInputs
from defuse_server.names import artifact_sha256


def audit_fits(classifier: Classifier, vae: Vae, dataset: Dataset) -> None:
    """Check that the three can be audited together."""
    classifier_fits(classifier, dataset)
    if vae.HasField("image_shape"):
        _same_shape("VAE", vae.name, vae.image_shape, dataset)
    _preprocessing_fits("VAE", vae.name, vae.preprocessing, dataset.image_shape)


def classifier_fits(classifier: Classifier, dataset: Dataset) -> None:
    """Check that the classifier takes the dataset's images and has its classes."""
    _classes_fit(classifier, dataset)
    if classifier.HasField("image_shape"):
        _same_shape("classifier", classifier.name, classifier.image_shape, dataset)
    elif classifier.preprocessing.layout == Layout.LAYOUT_FLAT:
        _flat_fits(classifier, dataset)
    _preprocessing_fits("classifier", classifier.name, classifier.preprocessing, dataset.image_shape)


def candidate_fits(baseline: Classifier, candidate: Classifier, dataset: Dataset) -> None:
    """Check that the candidate can be compared with the baseline on the dataset."""
    if candidate.class_count != baseline.class_count:
        raise Mismatched(
            f"candidate {candidate.name} has {candidate.class_count} classes, baseline {baseline.name} has "
            f"{baseline.class_count}: compare classifiers of the same classes",
            figures={
                "candidate_class_count": str(candidate.class_count),
                "baseline_class_count": str(baseline.class_count),
            },
        )
    classifier_fits(candidate, dataset)


def audit_is_of(audit: Audit, audited: Classifier, baseline: Classifier) -> None:
    """Check that the audit searched the baseline: the same bytes, read in the same way."""
    # Compared are the bytes, and everything else that predictions depend on.
    if JobInputs().classifier("classifier", audited) != JobInputs().classifier("classifier", baseline):
        raise Mismatched(
            f"{audit.name} is an audit of {audit.classifier}, the baseline is {baseline.name}: "
            "pass an audit of the baseline",
            figures={"audited_classifier": audit.classifier, "baseline": baseline.name},
        )


def has_frozen_labels(candidate: Classifier, audit: str) -> None:
    """Check that the candidate comes from a correction, and of the named audit if there is a name."""
    lineage = candidate.lineage
    if not lineage.correction or audit not in ("", lineage.audit):
        told = f"{lineage.correction} over {lineage.audit}" if lineage.correction else "no correction"
        raise Mismatched(
            f"labels are asked for that were frozen with a correction of {audit or 'the candidate'}, and "
            f"{candidate.name} comes from {told}: ask for the latest labels",
            figures={"candidate": candidate.name, "correction": lineage.correction, "audit": audit},
        )


def same_bytes(candidate: Classifier, sha256: str) -> None:
    """Check that the candidate is registered with these bytes. Raises `CandidateChanged`."""
    registered = artifact_sha256(candidate.artifact)
    if registered != sha256:
        raise CandidateChanged(
            f"candidate {candidate.name} is registered with the SHA-256 {registered}, expected {sha256}: the "
            "file has changed; register the file that you want to promote, and evaluate that",
            figures={"expected": sha256, "registered": registered},
        )


def check_differentiable(classifier: Classifier) -> None:
    """Check that the classifier can be fine-tuned. Raises `NotDifferentiable` with the operations."""
    if not classifier.differentiable:
        operations = ", ".join(classifier.undifferentiable_operations)
        raise NotDifferentiable(
            f"{classifier.name} can't be corrected: its operations {operations} have no gradient. Retrain it "
            "elsewhere on the regions' samples, and evaluate the result",
            figures={"operations": operations},
        )


def _classes_fit(classifier: Classifier, dataset: Dataset) -> None:
    names = len(dataset.class_names)
    # A dataset without class names is numbered up to its largest label. The classifier may have more classes,
    # of which the dataset has no item.
    numbered = list(dataset.class_names) == [str(label) for label in range(names)]
    if names == classifier.class_count or (numbered and names < classifier.class_count):
        return
    raise Mismatched(
        f"classifier {classifier.name} has {classifier.class_count} outputs, dataset {dataset.name} has "
        f"{names} classes: register the dataset with the classifier's class names, in their order",
        figures={"classifier_class_count": str(classifier.class_count), "dataset_class_count": str(names)},
    )


def _same_shape(kind: str, name: str, shape: ImageShape, dataset: Dataset) -> None:
    if shape != dataset.image_shape:
        raise Mismatched(
            f"{kind} {name} takes images of {_text(shape)}, dataset {dataset.name} has "
            f"{_text(dataset.image_shape)} (channels x height x width): use a dataset with the images "
            f"that it was trained on{_layout_hint(shape, dataset.image_shape)}",
            figures={"image_shape": _text(shape), "dataset_image_shape": _text(dataset.image_shape)},
        )


def _layout_hint(shape: ImageShape, images: ImageShape) -> str:
    """Return what to add if the model was declared with another layout than it has."""
    if (shape.channels, shape.height, shape.width) == (images.height, images.width, images.channels):
        return ", or register it anew with layout NHWC (--layout nhwc) if it takes channels last"
    return ""


def _flat_fits(classifier: Classifier, dataset: Dataset) -> None:
    size = classifier.input.shape[-1] if classifier.input.shape else -1
    shape = dataset.image_shape
    pixels = prod((shape.channels, shape.height, shape.width))
    if size not in (-1, pixels):
        raise Mismatched(
            f"classifier {classifier.name} takes {size} numbers, an image of dataset {dataset.name} has "
            f"{pixels}: use a dataset with the images that it was trained on",
            figures={"input_size": str(size), "dataset_image_size": str(pixels)},
        )


def _preprocessing_fits(kind: str, name: str, value: Preprocessing, shape: ImageShape) -> None:
    for field, count in (("mean", len(value.mean)), ("std", len(value.std))):
        if count not in (0, 1, shape.channels):
            raise Mismatched(
                f"{kind} {name} has {count} values of preprocessing.{field}, the dataset's images have "
                f"{shape.channels} channels: register it with one value, or one a channel",
                figures={f"{field}_values": str(count), "channels": str(shape.channels)},
            )


def _text(shape: ImageShape) -> str:
    return f"{shape.channels}x{shape.height}x{shape.width}"

"""How a registry's models are fed, and classifiers in the service with their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from defuse._flow import Flow, each
from defuse._registry import get_classifier, inspected, list_classifiers, push_classifier
from defuse._requests import enum_value, preprocessing
from defuse.errors import ArgumentError
from defuse.model_registries.errors import RegistryError
from defuse.model_registries.registry import OnnxFile
from defuse.v1.models_pb2 import Layout, OutputKind, Preprocessing
from defuse.v1.registry_service_pb2 import Classifier, RegistrationState


@dataclass(frozen=True)
class Declaration:
    """What `push_classifier` is told about a model; nothing of it: as the same bytes were pushed before."""

    layout: str | None = None
    scale: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    output_kind: str | None = None
    output_name: str = ""

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> Declaration:
        """Read a model's tags `defuse.layout`, `.scale`, `.mean`, `.std`, `.output_kind`, `.output`.

        Several values are separated by commas. Raises RegistryError for a value that is no number.
        """
        scale = _numbers(tags, "scale")
        if len(scale) > 1:
            raise RegistryError(f"expected one number in the tag defuse.scale, got {tags['defuse.scale']!r}")
        return cls(
            layout=tags.get("defuse.layout") or None,
            scale=scale[0] if scale else None,
            mean=_numbers(tags, "mean"),
            std=_numbers(tags, "std"),
            output_kind=tags.get("defuse.output_kind") or None,
            output_name=tags.get("defuse.output", ""),
        )

    @classmethod
    def of(cls, classifier: Classifier) -> Declaration:
        """What a classifier was registered with."""
        fed = classifier.preprocessing
        return cls(
            layout=Layout.Name(fed.layout).removeprefix("LAYOUT_").lower(),
            scale=fed.scale,
            mean=tuple(fed.mean),
            std=tuple(fed.std),
            output_kind=OutputKind.Name(classifier.output_kind).removeprefix("OUTPUT_KIND_").lower(),
            output_name=classifier.output_name,
        )

    def fits(self, classifier: Classifier) -> bool:
        """Whether the classifier is fed like this, whichever way its defaults are written."""
        try:
            fed = preprocessing(self.layout, self.scale, self.mean, self.std)
            kind = enum_value(OutputKind, "OUTPUT_KIND_", self.output_kind)
        except ArgumentError as error:
            raise RegistryError(str(error)) from error
        return (_plain(fed), kind or OutputKind.OUTPUT_KIND_LOGITS, self.output_name) == (
            _plain(classifier.preprocessing),
            classifier.output_kind or OutputKind.OUTPUT_KIND_LOGITS,
            classifier.output_name,
        )


def classifier_of(
    file: OnnxFile,
    declared: Declaration,
    *,
    like: Classifier | None = None,
    display_name: str,
    timeout_s: float | None,
) -> Flow[Classifier]:
    """Return a READY classifier with these bytes: one that is registered already, or a new one.

    Where nothing is declared, the one with these bytes counts; where there is none, it is registered `like`
    another. Raises Rejected, and RegistryError where the same bytes are registered in several ways.
    """
    known = yield from _known(file, timeout_s)
    undeclared = declared == Declaration()
    if undeclared and like is not None and (not known or _ways(known) > 1):
        declared = Declaration.of(like)
    elif undeclared and known:
        if _ways(known) > 1:
            raise RegistryError(
                f"{', '.join(one.name for one in known)} have the bytes of {display_name} and differ in "
                "preprocessing or output. Say which is right: --layout, --scale, --mean, --std, "
                "--output-kind, --output, or the model's tags defuse.layout, ..."
            )
        declared = Declaration.of(known[0])
    for classifier in known:
        if declared.fits(classifier):
            return (yield from _ready(classifier, timeout_s))
    return (
        yield from push_classifier(
            file.path,
            layout=declared.layout,
            scale=declared.scale,
            mean=declared.mean,
            std=declared.std,
            output_kind=declared.output_kind,
            output_name=declared.output_name,
            display_name=display_name[:200],
            timeout_s=timeout_s,
        )
    )


def _ready(classifier: Classifier, timeout_s: float | None) -> Flow[Classifier]:
    return inspected(classifier, lambda: get_classifier(classifier, timeout_s=timeout_s))


def _known(file: OnnxFile, timeout_s: float | None) -> Flow[list[Classifier]]:
    """Classifiers with these bytes, newest first, that have not been rejected."""
    known: list[Classifier] = []

    def look(classifier: Classifier) -> None:
        rejected = classifier.state == RegistrationState.REGISTRATION_STATE_REJECTED
        if classifier.artifact == f"artifacts/{file.sha256}" and not rejected:
            known.append(classifier)

    yield from each(list_classifiers(timeout_s=timeout_s), look)
    return known


def _ways(classifiers: list[Classifier]) -> int:
    """In how many different ways they are fed."""
    first, *others = classifiers
    return 1 + sum(not Declaration.of(first).fits(other) for other in others)


def _plain(fed: Preprocessing) -> tuple[object, ...]:
    """With the defaults filled in: `(layout, scale, mean, std)`."""
    return (
        fed.layout or Layout.LAYOUT_NCHW,
        fed.scale or 1.0,
        tuple(fed.mean) or (0.0,),
        tuple(fed.std) or (1.0,),
    )


def _numbers(tags: Mapping[str, str], name: str) -> tuple[float, ...]:
    text = tags.get(f"defuse.{name}", "")
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise RegistryError(
            f"expected numbers, separated by commas, in the tag defuse.{name}, got {text!r}"
        ) from None

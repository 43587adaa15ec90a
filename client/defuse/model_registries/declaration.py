"""How a model registry's models take their input, and which classifiers of the service have their bytes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from defuse._calls.flows import each
from defuse._calls.request_fields import enum_value
from defuse._calls.steps import Flow
from defuse._operations.push import inspected, push_classifier
from defuse._operations.resources import CLASSIFIERS
from defuse.errors import ArgumentError
from defuse.messages import Classifier, Layout, OutputKind, RegistrationState
from defuse.model_registries.errors import RegistryError
from defuse.model_registries.registry import OnnxFile


@dataclass(frozen=True)
class Declaration:
    """The preprocessing and output of a model, as `push_classifier` takes them.

    An empty declaration means those of the classifier that was pushed with the same bytes.
    """

    layout: Layout | str | None = None
    scale: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    output_kind: OutputKind | str | None = None
    output_name: str = ""

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> Self:
        """Read a model's tags `defuse.layout`, `.scale`, `.mean`, `.std`, `.output_kind`, `.output`.

        Commas separate several values. Raises `RegistryError` for a value that is not a number.
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
    def of(cls, classifier: Classifier) -> Self:
        """Return the declaration that a classifier was registered with."""
        fed = classifier.preprocessing
        return cls(
            fed.layout,
            fed.scale,
            tuple(fed.mean),
            tuple(fed.std),
            classifier.output_kind,
            classifier.output_name,
        )

    def fits(self, classifier: Classifier) -> bool:
        """Tell whether the classifier was declared like this, however its defaults are written.

        Raises `RegistryError` for a layout or an output kind that does not exist.
        """
        return self.with_defaults() == Declaration.of(classifier).with_defaults()

    def with_defaults(self) -> "Declaration":
        """Fill in the defaults. Raises `RegistryError` for a layout or an output kind that does not exist."""
        try:
            layout = enum_value(Layout, self.layout)
            output_kind = enum_value(OutputKind, self.output_kind)
        except ArgumentError as error:
            raise RegistryError(str(error)) from error
        return Declaration(
            layout or Layout.LAYOUT_NCHW,
            self.scale or 1.0,
            self.mean or (0.0,),
            self.std or (1.0,),
            output_kind or OutputKind.OUTPUT_KIND_LOGITS,
            self.output_name,
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

    An empty declaration is filled in from the classifier with the same bytes; if there is none or there are
    contradicting ones, from the classifier `like`. Raises `Rejected`, or `RegistryError` if the same bytes
    are registered in several ways and `like` is None.
    """
    known = yield from _known(file, timeout_s)
    undeclared = declared == Declaration()
    if undeclared and like is not None and (not known or _ways(known) > 1):
        declared = Declaration.of(like)
    elif undeclared and known:
        if _ways(known) > 1:
            raise RegistryError(
                f"expected one preprocessing and output for {display_name}, but classifiers with its bytes "
                f"differ: {', '.join(one.name for one in known)}. Choose by --layout, --scale, --mean, "
                "--std, --output-kind and --output, or by the model's tags defuse.layout, ..."
            )
        declared = Declaration.of(known[0])
    for classifier in known:
        if declared.fits(classifier):
            return (yield from inspected(CLASSIFIERS, classifier, timeout_s))
    return (
        yield from push_classifier(
            file.path, **asdict(declared), display_name=display_name[:200], timeout_s=timeout_s
        )
    )


def _known(file: OnnxFile, timeout_s: float | None) -> Flow[list[Classifier]]:
    """Return the classifiers with these bytes that were not rejected, newest first."""
    known: list[Classifier] = []

    def look(classifier: Classifier) -> None:
        rejected = classifier.state == RegistrationState.REGISTRATION_STATE_REJECTED
        if classifier.artifact == f"artifacts/{file.sha256}" and not rejected:
            known.append(classifier)

    yield from each(CLASSIFIERS.list_all(timeout_s=timeout_s), look)
    return known


def _ways(classifiers: list[Classifier]) -> int:
    """Count the different declarations of classifiers."""
    return len({Declaration.of(classifier).with_defaults() for classifier in classifiers})


def _numbers(tags: Mapping[str, str], name: str) -> tuple[float, ...]:
    text = tags.get(f"defuse.{name}", "")
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise RegistryError(
            f"expected numbers, separated by commas, in the tag defuse.{name}, got {text!r}"
        ) from None

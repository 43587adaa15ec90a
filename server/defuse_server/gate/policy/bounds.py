"""The bounds of each check, and the budget of an audit, with their ranges and defaults.

docs/policy.md says why each default is what it is.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from defuse.settings import default_of, field_of
from defuse.v1.audit_service_pb2 import AuditConfig

from defuse_server.gate.policy.ranges import Range

CONFIDENCE: Final = 0.95
_BETWEEN: Final = "the lower end of an interval lies between"
_ABOVE_0: Final = "the upper end of an interval lies above 0"

_Accuracy = Annotated[
    float, Range(0, 1, above=True, below=True, never=f"{_BETWEEN}, however many items there are")
]
_Change = Annotated[float, Range(-1, 1, above=True, below=True, never=_BETWEEN)]


@dataclass(frozen=True)
class LeastAccuracy:
    """The accuracy on the test split itself."""

    min: _Accuracy


@dataclass(frozen=True)
class LeastChange:
    """The candidate's accuracy minus the baseline's; below 0 where a loss is allowed."""

    min: _Change


@dataclass(frozen=True)
class RegionAccuracy:
    """The share of a confirmed region's fresh samples that get its label."""

    min: _Accuracy = 0.9
    samples: Annotated[int, Range(1, 100_000, whole=True)] = 500
    """Samples drawn of each region."""


@dataclass(frozen=True)
class SecondSearch:
    """Misclassifications per candidate of a fresh search; one of the two may be None."""

    max_ratio: Annotated[float | None, Range(0, 100, above=True, may_be_off=True, never=_ABOVE_0)] = 1.25
    """The candidate's over the baseline's."""
    max_rate: Annotated[
        float | None, Range(0, 1, above=True, below=True, may_be_off=True, never=_ABOVE_0)
    ] = None
    """The candidate's."""


@dataclass(frozen=True)
class UnlabeledRegions:
    """Regions that annotators have not settled; one of the two may be None."""

    max_count: Annotated[int | None, Range(0, 1_000_000_000, whole=True, may_be_off=True)] = None
    max_harm_share: Annotated[float | None, Range(0, 1, below=True, may_be_off=True)] = 0.1
    """Their share of the harm of all regions."""


@dataclass(frozen=True)
class AnnotatorAgreement:
    """Krippendorff's alpha of the regions' labels."""

    min: Annotated[float, Range(0, 1, above=True)] = 0.667


@dataclass(frozen=True)
class AuditAge:
    """How old the audit may be, in days, when the evaluation is asked for."""

    max_days: Annotated[float, Range(0, 36_500, above=True)] = 30.0


ANNOTATORS_THAT_AGREE: Final = 3
"""Annotators that an audit asks about each bug where the policy wants them to agree, and names no number."""


@dataclass(frozen=True)
class Checks:
    """The bounds of every check; None where it is off."""

    clean_accuracy: LeastAccuracy | None = None
    clean_accuracy_change: LeastChange | None = LeastChange(-0.01)
    class_accuracy_change: LeastChange | None = LeastChange(-0.05)
    region_accuracy: RegionAccuracy | None = RegionAccuracy()
    second_search: SecondSearch | None = SecondSearch()
    unlabeled_regions: UnlabeledRegions | None = UnlabeledRegions()
    annotator_agreement: AnnotatorAgreement | None = None
    audit_age: AuditAge | None = AuditAge()


def _of_an_audit(name: str) -> Any:
    """The default of a setting of AuditConfig; None if no number says it."""
    return default_of(field_of(AuditConfig, name))


@dataclass(frozen=True)
class AuditBudget:
    """The config of an audit that is made where there is none, by the names of AuditConfig.

    None stands for no limit, and for patience without end.
    """

    seed: int = _of_an_audit("seed")
    max_seeds: int = _of_an_audit("max_seeds")
    candidates_per_seed: int = _of_an_audit("candidates_per_seed")
    kept_per_seed: int = _of_an_audit("kept_per_seed")
    max_candidates: int | None = _of_an_audit("max_candidates")
    budget_s: float | None = _of_an_audit("budget_s")
    patience_shards: int | None = _of_an_audit("patience_shards")
    annotators_per_region: int = _of_an_audit("annotators_per_region")

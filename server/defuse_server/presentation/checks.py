"""The checks in words: the measured value, the bound, and what would make the check pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from defuse.v1 import promotion_service_pb2 as pb

from defuse_server.names import region_number
from defuse_server.presentation.formatting import class_name

TONES: Final = {"PASS": "good", "FAIL": "bad"}
_TITLES: Final = {
    "clean_accuracy": "Test accuracy",
    "clean_accuracy_change": "Change of the test accuracy",
    "class_accuracy_change": "Change of one class's test accuracy",
    "region_accuracy": "Accuracy on a confirmed bug's fresh samples",
    "second_search": "Misclassifications per candidate of a fresh search",
    "unlabeled_regions": "Regions that nobody has labeled",
    "annotator_agreement": "Agreement of the annotators",
    "audit_age": "Age of the audit, in days",
}
_SUBJECTS: Final = {"harm share": "share of the misread inputs"}
_ORDER: Final = {pb.VERDICT_FAIL: 0, pb.VERDICT_PASS: 2}
"""INCONCLUSIVE comes between the two."""


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One check, or several passing checks in one line with the range of their values."""

    title: str
    subject: str
    verdict: str
    value: str
    interval: str = ""
    bound: str
    distance: str = ""
    """By how much the value misses the bound, or empty."""
    explanation: str = ""
    remedy: str = ""

    @property
    def tone(self) -> str:
        """The tone of the verdict: good, bad or open."""
        return TONES.get(self.verdict, "open")


def not_passing(evaluation: pb.Evaluation, class_names: Sequence[str]) -> list[CheckLine]:
    """Return the checks that do not pass, FAIL first, then by how much they miss their bounds."""
    against = [check for check in evaluation.checks if check.verdict != pb.VERDICT_PASS]
    against.sort(key=lambda check: (_ORDER.get(check.verdict, 1), -_miss(check)))
    return [_line(check, evaluation, class_names) for check in against]


def passing(evaluation: pb.Evaluation, class_names: Sequence[str]) -> list[CheckLine]:
    """Return the checks that pass."""
    return [
        _line(check, evaluation, class_names)
        for check in evaluation.checks
        if check.verdict == pb.VERDICT_PASS
    ]


def folded(evaluation: pb.Evaluation, class_names: Sequence[str], most: int = 3) -> list[CheckLine]:
    """Return the checks that pass. More than `most` of one kind become one line."""
    passed = [check for check in evaluation.checks if check.verdict == pb.VERDICT_PASS]
    lines: list[CheckLine] = []
    for _, group in groupby(passed, key=lambda check: check.check):
        family = list(group)
        if len(family) > most:
            lines.append(_family(family))
        else:
            lines += [_line(check, evaluation, class_names) for check in family]
    return lines


def verdict_word(verdict: pb.Verdict) -> str:
    """Return `PASS`, `FAIL` or `INCONCLUSIVE`, or the number of an unknown verdict."""
    number = int(verdict)
    return pb.Verdict.Name(verdict).removeprefix("VERDICT_") if number in pb.Verdict.values() else str(number)


def title_of(check: str) -> str:
    """Return a check's name for people."""
    return _TITLES.get(check, check.replace("_", " "))


def _line(check: pb.Check, evaluation: pb.Evaluation, class_names: Sequence[str]) -> CheckLine:
    return CheckLine(
        title=title_of(check.check),
        subject=_subject(check.subject, evaluation, class_names),
        verdict=verdict_word(check.verdict),
        value=number(check.value),
        interval=_range(check.interval.lower, check.interval.upper) if check.HasField("interval") else "",
        bound=_bound(check),
        distance=number(_miss(check)) if _miss(check) > 0 else "",
        explanation=check.explanation,
        remedy=check.remedy,
    )


def _family(family: Sequence[pb.Check]) -> CheckLine:
    values = [check.value for check in family]
    bounds = {_bound(check) for check in family}
    return CheckLine(
        title=title_of(family[0].check),
        subject=f"{len(family)} that pass",
        verdict="PASS",
        value=_range(min(values), max(values)),
        bound=bounds.pop() if len(bounds) == 1 else "each its own",
    )


def _subject(subject: str, evaluation: pb.Evaluation, class_names: Sequence[str]) -> str:
    """Return `class 3 (cow)` or `region 5 (shows cat, read as dog)`. Other subjects stay as they are."""
    subject = _SUBJECTS.get(subject, subject)
    kind, _, rest = subject.partition(" ")
    if kind == "class" and rest.isdecimal() and int(rest) < len(class_names):
        return f"{subject} ({class_names[int(rest)]})"
    measured = next((entry for entry in evaluation.regions if entry.region == subject), None)
    if measured is None:
        return subject
    shows, read = (class_name(class_names, label) for label in (measured.label, measured.predicted_class))
    return f"region {region_number(subject)} (shows {shows}, read as {read})"


def _miss(check: pb.Check) -> float:
    return check.bound - check.value if check.at_least else check.value - check.bound


def _bound(check: pb.Check) -> str:
    return f"{'≥' if check.at_least else '≤'} {number(check.bound)}"


def _range(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)} … {number(high)}"


def number(value: float) -> str:
    """Return a number in four digits, never with an exponent, and with a proper minus."""
    if 0 < abs(value) < 1e-4:
        text = "< 0.0001" if value > 0 else "> -0.0001"
    else:
        text = f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")

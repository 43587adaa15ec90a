"""Finds bounds that no candidate could meet.

Lower bounds of accuracies never contradict each other, absolute or relative: a perfect candidate meets all of
them. But a policy can ask for more certainty than its samples, seeds and annotators give.
"""

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, Final

from defuse_server.gate.policy.bounds import AuditBudget, Checks
from defuse_server.gate.policy.faults import Faults

LEAST_SEEDS: Final = 10
"""The second search needs this many seeds with a misclassification before it is decided."""
_DAY_S: Final = 86_400


def find_contradictions(
    confidence: float,
    checks: Checks,
    audit: AuditBudget,
    places: Mapping[tuple[str, ...], Any],
    faults: Faults,
) -> None:
    """Add each contradiction at the key that must change, or at the nearest key in the text."""
    quantile = NormalDist().inv_cdf(0.5 + confidence / 2)
    for path, text in (
        (("checks", "region_accuracy"), _region_samples(checks, quantile, 1 - confidence)),
        (("checks", "second_search"), _both_off(checks.second_search, "second_search")),
        (("checks", "unlabeled_regions"), _both_off(checks.unlabeled_regions, "unlabeled_regions")),
        (("audit", "max_seeds"), _search_seeds(checks, audit, quantile)),
        (("audit", "annotators_per_region"), _annotators(checks, audit)),
        (("audit", "budget_s"), _age(checks, audit)),
    ):
        if text:
            nearest = next(part for part in (path, path[:1], ("version",)) if part in places)
            faults.add(places[nearest], text)


def _region_samples(checks: Checks, quantile: float, error: float) -> str:
    """For n right of n, the lower end is the lesser of n / (n + z^2) and (error / 2)^(1 / n)."""
    bound = checks.region_accuracy
    if bound is None:
        return ""
    best = min(bound.samples / (bound.samples + quantile**2), (error / 2) ** (1 / bound.samples))
    if best >= bound.min:
        return ""
    enough = max(bound.min * quantile**2 / (1 - bound.min), math.log(error / 2) / math.log(bound.min))
    return (
        f"region_accuracy can never pass: even {bound.samples:,} of {bound.samples:,} samples right show no "
        f"more than {best:.3f}, and min is {bound.min:g}; {math.ceil(enough):,} samples would be enough for "
        "one region, and several regions need more"
    )


def _both_off(bounds: Any, name: str) -> str:
    if bounds is None or any(value is not None for value in vars(bounds).values()):
        return ""
    return f"{name} has no bound left; write `{name}: off`, or one of {', '.join(vars(bounds))}"


def _search_seeds(checks: Checks, audit: AuditBudget, quantile: float) -> str:
    """At best the baseline fails around every seed and the candidate around none: a ratio below z^2 / n."""
    bound = checks.second_search
    if bound is None:
        return ""
    enough = LEAST_SEEDS
    if bound.max_ratio is not None:
        enough = max(enough, math.ceil(quantile**2 / bound.max_ratio))
    if audit.max_seeds >= enough:
        return ""
    return (
        f"second_search can never pass after an audit of {audit.max_seeds:,} seeds: its second search has no "
        f"more, and needs at least {enough:,}"
    )


def _annotators(checks: Checks, audit: AuditBudget) -> str:
    if checks.annotator_agreement is None or audit.annotators_per_region > 1:
        return ""
    return (
        "annotator_agreement can never pass where each bug has one annotator: ask for two or more, or "
        "write `annotator_agreement: off`"
    )


def _age(checks: Checks, audit: AuditBudget) -> str:
    bound = checks.audit_age
    if bound is None or audit.budget_s is None or audit.budget_s <= bound.max_days * _DAY_S:
        return ""
    return (
        f"an audit that takes {audit.budget_s:g} s is older than audit_age.max_days of {bound.max_days:g} "
        "when it ends"
    )

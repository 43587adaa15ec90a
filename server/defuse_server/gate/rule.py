"""The default rule of the gate, version "default-1": figures of an evaluation in, verdict and checks out.

Pure: no clock, no Redis, no floating-point sum whose order could matter. The bounds are stated in
`promotion_service.proto` at `Check`; who changes one changes the version.
"""

from __future__ import annotations

from collections.abc import Iterable

from defuse.v1.promotion_service_pb2 import (
    VERDICT_FAIL,
    VERDICT_INCONCLUSIVE,
    VERDICT_PASS,
    Check,
    Evaluation,
    RegionAccuracy,
    SecondSearch,
    Verdict,
)

RULE = "default-1"
CLEAN_ACCURACY_BOUND = -0.005
"""The candidate's test accuracy may be this much below the baseline's."""
REGION_ACCURACY_BOUND = 0.9
ROUNDING = 1e-9
"""Accuracies are ratios of counts: a difference of exactly the bound must not fail by its last bit."""


def judge(evaluation: Evaluation) -> tuple[Verdict, list[Check]]:
    """Judge an evaluation whose figures (test accuracies, regions, second search) are filled in.

    Any FAIL makes the verdict FAIL; otherwise any INCONCLUSIVE makes it INCONCLUSIVE; otherwise it is PASS.
    """
    checks = [
        clean_accuracy(evaluation.test_accuracy_before, evaluation.test_accuracy_after),
        *region_accuracies(evaluation.regions),
        second_search(evaluation.second_search),
    ]
    verdicts = [check.verdict for check in checks]
    if VERDICT_FAIL in verdicts:
        return VERDICT_FAIL, checks
    return (VERDICT_INCONCLUSIVE if VERDICT_INCONCLUSIVE in verdicts else VERDICT_PASS), checks


def clean_accuracy(before: float, after: float) -> Check:
    """The candidate's test accuracy minus the baseline's, against `CLEAN_ACCURACY_BOUND`."""
    change = after - before
    return Check(
        check="clean_accuracy",
        verdict=_at_least(change, CLEAN_ACCURACY_BOUND),
        value=change,
        bound=CLEAN_ACCURACY_BOUND,
        explanation=f"Test accuracy went from {before:.4f} to {after:.4f}; "
        f"it may fall by at most {-CLEAN_ACCURACY_BOUND:g}.",
    )


def region_accuracies(regions: Iterable[RegionAccuracy]) -> list[Check]:
    """One check for each confirmed region; a single inconclusive one where there is none."""
    confirmed = [region for region in regions if region.confirmed]
    if not confirmed:
        return [
            Check(
                check="region_accuracy",
                verdict=VERDICT_INCONCLUSIVE,
                bound=REGION_ACCURACY_BOUND,
                explanation="No region is a confirmed bug: there is no known mistake to look for. "
                "Label the audit's regions and evaluate again.",
            )
        ]
    return [_region_accuracy(region) for region in confirmed]


def _region_accuracy(region: RegionAccuracy) -> Check:
    if region.samples <= 0:
        verdict = VERDICT_INCONCLUSIVE
        explanation = f"No sample of {region.region} was measured."
    else:
        verdict = _at_least(region.accuracy_after, REGION_ACCURACY_BOUND)
        explanation = (
            f"{region.accuracy_after:.3f} of {region.samples} unseen samples of {region.region} get the "
            f"label {region.label} (baseline: {region.accuracy_before:.3f}); at least "
            f"{REGION_ACCURACY_BOUND:g} must."
        )
    return Check(
        check="region_accuracy",
        subject=region.region,
        verdict=verdict,
        value=region.accuracy_after,
        bound=REGION_ACCURACY_BOUND,
        explanation=explanation,
    )


def second_search(search: SecondSearch) -> Check:
    """Misclassifications per candidate of the second search: fewer in the candidate than in the baseline."""
    found = search.misclassifications_before + search.misclassifications_after
    if search.candidates_before <= 0 or search.candidates_after <= 0 or found == 0:
        return Check(
            check="second_search",
            verdict=VERDICT_INCONCLUSIVE,
            explanation=f"The second search found {search.misclassifications_before} misclassifications in "
            f"{search.candidates_before} candidates of the baseline and {search.misclassifications_after} in "
            f"{search.candidates_after} of the candidate: too little to compare them.",
        )
    before = search.misclassifications_before / search.candidates_before
    after = search.misclassifications_after / search.candidates_after
    return Check(
        check="second_search",
        verdict=VERDICT_PASS if after < before else VERDICT_FAIL,
        value=after,
        bound=before,
        explanation=f"From new seeds, {after:.5f} of the candidates are misclassified by the candidate, "
        f"{before:.5f} by the baseline; the candidate must have fewer.",
    )


def _at_least(value: float, bound: float) -> Verdict:
    return VERDICT_PASS if value >= bound - ROUNDING else VERDICT_FAIL

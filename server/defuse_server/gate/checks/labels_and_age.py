"""Checks of the labels and of the audit's age. They pass or are INCONCLUSIVE: a candidate can't fail here."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from defuse.v1 import promotion_service_pb2 as pb

from defuse_server.gate.policy.bounds import AnnotatorAgreement, AuditAge, Checks, UnlabeledRegions

LEAST_OVERLAP: Final = 10
"""The agreement counts once two annotators have answered this many tasks, or all if there are fewer."""


def label_and_age_checks(
    evaluation: pb.Evaluation, bounds: Checks, audit_age: timedelta
) -> Iterator[pb.Check]:
    """Yield the checks of the labels and of the audit's age."""
    yield from label_checks(evaluation, bounds)
    if bounds.audit_age:
        yield _age(audit_age, bounds.audit_age)


def label_checks(evaluation: pb.Evaluation, bounds: Checks) -> Iterator[pb.Check]:
    """Yield the checks of the labels, which need no figure of the engine."""
    labeling = evaluation.labeling
    if bounds.unlabeled_regions:
        yield from _unlabeled(labeling, bounds.unlabeled_regions, known=evaluation.HasField("labeling"))
    if bounds.annotator_agreement:
        yield _agreement(labeling, bounds.annotator_agreement)


def _unlabeled(labeling: pb.LabelingFigures, bounds: UnlabeledRegions, *, known: bool) -> Iterator[pb.Check]:
    remedy = _to_settle(labeling) if known else "The labels were not counted: evaluate again."
    what = f"{labeling.bug_count:,} bugs" if labeling.bug_count else f"{labeling.region_count:,} regions"
    waiting = f" ({labeling.splitting_count:,} wait for their split)" if labeling.splitting_count else ""
    explanation = (
        f"{labeling.unlabeled_count:,} of {what} have no label yet{waiting}; they hold "
        f"{labeling.unlabeled_harm_share:.3f} of the misread inputs that are expected in all of them."
    )
    if labeling.proposal_count:
        explanation += (
            f" {labeling.proposal_count:,} have the label that the search proposes: people verified a random "
            "sample of its proposals."
        )
    for subject, value, bound in (
        ("count", labeling.unlabeled_count, bounds.max_count),
        ("harm share", labeling.unlabeled_harm_share, bounds.max_harm_share),
    ):
        if bound is not None:
            yield _check(
                known and value <= bound,
                remedy,
                check="unlabeled_regions",
                subject=subject,
                value=value,
                bound=bound,
                explanation=explanation,
            )


def _to_settle(labeling: pb.LabelingFigures) -> str:
    """Say what to label. What waits for its split can be labeled once it has parts."""
    open_ones = [name for name in labeling.unlabeled if name not in labeling.splitting]
    remedies = (
        ("Label {}.", open_ones, labeling.unlabeled_count - labeling.splitting_count),
        ("Label what comes of the split of {}.", labeling.splitting, labeling.splitting_count),
    )
    return " ".join(said.format(_named(names, count)) for said, names, count in remedies if count)


def _named(names: Sequence[str], count: int) -> str:
    """Return names, and how many of `count` are not among them."""
    if not names:
        return f"{count:,} with less harm"
    return ", ".join(names) + (f" and {count - len(names):,} more" if count > len(names) else "")


def _agreement(labeling: pb.LabelingFigures, bound: AnnotatorAgreement) -> pb.Check:
    needed = min(LEAST_OVERLAP, max(labeling.bug_count or labeling.region_count, 1))
    overlap, alpha = labeling.overlap_count, labeling.alpha
    if labeling.HasField("alpha") and overlap >= needed:
        passes = alpha >= bound.min
        explanation = (
            f"Krippendorff's alpha of {overlap:,} tasks with several answers is {alpha:.3f}; at least "
            f"{bound.min:g} is asked."
        )
        remedy = (
            "The annotators read the pictures differently. Look at those where they disagree, explain the "
            "classes, and have them labeled again."
        )
    else:
        passes = False
        explanation = (
            f"{overlap:,} tasks have answers of two annotators or more; the agreement needs {needed}."
        )
        remedy = (
            "Have more bugs labeled by a second annotator. If one annotator is enough for you, set "
            "`annotator_agreement: off` in the policy."
        )
    told = {"value": alpha, "bound": bound.min, "at_least": True, "explanation": explanation}
    return _check(passes, remedy, check="annotator_agreement", **told)


def _age(audit_age: timedelta, bound: AuditAge) -> pb.Check:
    days = max(audit_age.total_seconds(), 0.0) / 86_400
    return _check(
        days <= bound.max_days,
        "Audit the baseline again and label the regions, or evaluate without naming an audit.",
        check="audit_age",
        value=days,
        bound=bound.max_days,
        explanation=f"The audit ended {days:.1f} days ago; at most {bound.max_days:g} are allowed.",
    )


def _check(passes: bool, remedy: str, **said: Any) -> pb.Check:
    """Return a check that passes, or that is INCONCLUSIVE and has a remedy."""
    verdict = pb.VERDICT_PASS if passes else pb.VERDICT_INCONCLUSIVE
    return pb.Check(verdict=verdict, remedy="" if passes else remedy, **said)

"""Figures about an audit's labels that a gate checks."""

from collections.abc import Collection, Sequence
from typing import Final

from defuse.v1.audit_service_pb2 import Bug, Region, RegionState
from defuse.v1.label_service_pb2 import LabelingReport
from defuse.v1.promotion_service_pb2 import LabelingFigures

from defuse_server.labels.region_label import OPEN_STATES

UNLABELED_NAMED: Final = 10


def labeling_figures(
    regions: Sequence[Region],
    bugs: Sequence[Bug],
    report: LabelingReport,
    proposed: Collection[str] = (),
) -> LabelingFigures:
    """Return the figures of what an audit's annotators are asked: its bugs, or its regions if it has none.

    If one was split, its parts count in its place. `proposed` are the names of bugs without an answer whose
    label is their verified proposal.
    """
    regions = [region for region in regions if not region.parts]
    bugs = [bug for bug in bugs if not bug.parts]
    asked: Sequence[Region | Bug] = bugs or regions
    unlabeled = [one for one in asked if _is_unsettled(one) and one.name not in proposed]
    unlabeled.sort(key=lambda one: -one.harm.value)
    splitting = [one for one in unlabeled if one.state == RegionState.REGION_STATE_MIXED]
    figures = LabelingFigures(
        region_count=len(regions),
        bug_count=len(bugs),
        unlabeled_count=len(unlabeled),
        unlabeled_harm_share=_harm_share(unlabeled, asked),
        unlabeled=[region.name for region in unlabeled[:UNLABELED_NAMED]],
        overlap_count=report.overlap_count,
        contradicting=report.contradicting,
        splitting_count=len(splitting),
        splitting=[one.name for one in splitting[:UNLABELED_NAMED]],
        proposal_count=len(proposed),
    )
    if report.HasField("alpha"):
        figures.alpha = report.alpha
    return figures


def _is_unsettled(region: Region | Bug) -> bool:
    if region.state == RegionState.REGION_STATE_MIXED:
        return not region.unsplit_reason
    return region.state in OPEN_STATES


def _harm_share(few: Sequence[Region | Bug], regions: Sequence[Region | Bug]) -> float:
    """Return the share of all harm that `few` of them hold, 0..1."""
    total = sum(region.harm.value for region in regions)
    if total <= 0:
        # No region's harm could be estimated, so all regions count alike.
        return len(few) / len(regions) if regions else 0.0
    return sum(region.harm.value for region in few) / total

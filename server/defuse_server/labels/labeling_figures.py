"""Figures about an audit's labels that a gate checks."""

from collections.abc import Sequence
from typing import Final

from defuse.v1.audit_service_pb2 import Region, RegionState
from defuse.v1.label_service_pb2 import LabelingReport
from defuse.v1.promotion_service_pb2 import LabelingFigures

from defuse_server.labels.region_label import OPEN_STATES

UNLABELED_NAMED: Final = 10


def labeling_figures(regions: Sequence[Region], report: LabelingReport) -> LabelingFigures:
    """Return the figures of an audit's regions. If a region was split, its parts count in its place."""
    regions = [region for region in regions if not region.parts]
    unlabeled = [region for region in regions if _is_unsettled(region)]
    unlabeled.sort(key=lambda region: -region.harm.value)
    figures = LabelingFigures(
        region_count=len(regions),
        unlabeled_count=len(unlabeled),
        unlabeled_harm_share=_harm_share(unlabeled, regions),
        unlabeled=[region.name for region in unlabeled[:UNLABELED_NAMED]],
        overlap_count=report.overlap_count,
    )
    if report.HasField("alpha"):
        figures.alpha = report.alpha
    return figures


def _is_unsettled(region: Region) -> bool:
    if region.state == RegionState.REGION_STATE_MIXED:
        return not region.unsplit_reason
    return region.state in OPEN_STATES


def _harm_share(few: Sequence[Region], regions: Sequence[Region]) -> float:
    """Return the share of all regions' harm that `few` of them hold, 0..1."""
    total = sum(region.harm.value for region in regions)
    if total <= 0:
        # No region's harm could be estimated, so all regions count alike.
        return len(few) / len(regions) if regions else 0.0
    return sum(region.harm.value for region in few) / total

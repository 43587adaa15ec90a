"""Badges of audits and cards of regions."""

from collections.abc import Sequence
from typing import Final

from defuse.v1.audit_service_pb2 import Audit, Region, RegionState
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation

from defuse_server.names import region_number
from defuse_server.presentation.formatting import class_name
from defuse_server.presentation.region_card import Badge, Card
from defuse_server.records.kinds import kind_of_type

_JOB_TONES: Final = {
    JobState.JOB_STATE_QUEUED: "open",
    JobState.JOB_STATE_RUNNING: "open",
    JobState.JOB_STATE_SUCCEEDED: "good",
    JobState.JOB_STATE_FAILED: "bad",
    JobState.JOB_STATE_CANCELLING: "open",
    JobState.JOB_STATE_CANCELLED: "plain",
}
_STATE_WORDS: Final = {
    RegionState.REGION_STATE_UNLABELED: "not labeled yet",
    RegionState.REGION_STATE_LEASED: "being labeled",
    RegionState.REGION_STATE_LABELED: "no bug",
    RegionState.REGION_STATE_MIXED: "mixed",
    RegionState.REGION_STATE_INVALID: "invalid",
    RegionState.REGION_STATE_SET_ASIDE: "set aside",
}


def job_badge(state: JobState) -> Badge:
    """Return the badge of an audit, a correction or an evaluation."""
    text = JobState.Name(state).removeprefix("JOB_STATE_").lower()
    return Badge(text, _JOB_TONES.get(state, "plain"))


def is_unfinished(audit: Audit) -> bool:
    """Tell whether the audit may still change."""
    return audit.state not in kind_of_type(Audit).states.final


def cards(regions: Sequence[Region], class_names: Sequence[str], evaluation: Evaluation | None) -> list[Card]:
    """Return the cards of regions."""
    measured = {entry.region: entry for entry in evaluation.regions} if evaluation else {}
    return [
        Card(
            number=region_number(region.name),
            region=region,
            badge=_badge(region),
            label=class_name(class_names, region.label) if region.HasField("label") else "",
            seed=class_name(class_names, region.seed_label),
            predicted=class_name(class_names, region.predicted_class),
            measured=measured.get(region.name),
            picture=f"/{region.name}/sheet.png",
            agreement=region.agreement,
        )
        for region in regions
    ]


def _badge(region: Region) -> Badge:
    if region.confirmed:
        return Badge("confirmed bug", "bad")
    tone = "good" if region.state == RegionState.REGION_STATE_LABELED else "open"
    return Badge(_STATE_WORDS.get(region.state, "not labeled yet"), tone)

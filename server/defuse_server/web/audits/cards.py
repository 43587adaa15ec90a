"""Badges of audits and cards of bugs and regions."""

from collections.abc import Collection, Mapping, Sequence
from statistics import fmean
from typing import Final

from defuse.v1.audit_service_pb2 import Audit, Bug, Region, RegionState
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation, RegionAccuracy

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
_PROPOSED: Final = Badge("verified proposal", "bad")
"""Of a bug that nobody has answered: its label is that of its seeds, so it is as good as confirmed."""


def job_badge(state: JobState) -> Badge:
    """Return the badge of an audit, a correction or an evaluation."""
    text = JobState.Name(state).removeprefix("JOB_STATE_").lower()
    return Badge(text, _JOB_TONES.get(state, "plain"))


def is_unfinished(audit: Audit) -> bool:
    """Tell whether the audit may still change."""
    return audit.state not in kind_of_type(Audit).states.final


def cards(
    found: Sequence[Region | Bug],
    class_names: Sequence[str],
    evaluation: Evaluation | None,
    ranks: Mapping[str, int],
    proposed: Collection[str] = (),
) -> list[Card]:
    """Return the cards of bugs or regions.

    `ranks` are those of bugs, from 1, without what was split; `proposed` the names of bugs whose verified
    proposal is used.
    """
    measured = {entry.region: entry for entry in evaluation.regions} if evaluation else {}
    return [
        Card(
            kind=region.name.split("/")[-2].removesuffix("s"),
            number=int(region.name.rpartition("/")[2]),
            region=region,
            badge=_PROPOSED if region.name in proposed else _badge(region),
            label=class_name(class_names, region.label) if region.HasField("label") else "",
            seed=class_name(class_names, region.seed_label),
            predicted=class_name(class_names, region.predicted_class),
            measured=_measured(region, measured),
            picture=f"/{region.name}/sheet.png",
            agreement=region.agreement,
            rank=ranks.get(region.name, 0),
            share=region.harm_share if isinstance(region, Bug) else 0.0,
        )
        for region in found
    ]


def _measured(found: Region | Bug, measured: Mapping[str, RegionAccuracy]) -> RegionAccuracy | None:
    cells = found.cells if isinstance(found, Bug) else [found.name]
    known = [measured[cell] for cell in cells if cell in measured]
    if not known:
        return None
    return RegionAccuracy(
        region=found.name,
        accuracy_before=fmean(one.accuracy_before for one in known),
        accuracy_after=fmean(one.accuracy_after for one in known),
    )


def _badge(region: Region | Bug) -> Badge:
    if region.confirmed:
        return Badge("confirmed bug", "bad")
    tone = "good" if region.state == RegionState.REGION_STATE_LABELED else "open"
    return Badge(_STATE_WORDS.get(region.state, "not labeled yet"), tone)

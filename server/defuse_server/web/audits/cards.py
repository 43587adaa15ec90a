"""What is said of audits and their regions, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from defuse.v1.audit_service_pb2 import Audit, Region, RegionState
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import Evaluation, RegionAccuracy

_JOB_TONES: Final = {
    JobState.JOB_STATE_QUEUED: "open",
    JobState.JOB_STATE_RUNNING: "open",
    JobState.JOB_STATE_SUCCEEDED: "good",
    JobState.JOB_STATE_FAILED: "bad",
    JobState.JOB_STATE_CANCELLING: "open",
    JobState.JOB_STATE_CANCELLED: "plain",
}
_UNFINISHED: Final = (
    JobState.JOB_STATE_QUEUED,
    JobState.JOB_STATE_RUNNING,
    JobState.JOB_STATE_CANCELLING,
)
_STATE_WORDS: Final = {
    RegionState.REGION_STATE_UNLABELED: "not labeled yet",
    RegionState.REGION_STATE_LEASED: "being labeled",
    RegionState.REGION_STATE_LABELED: "no bug",
    RegionState.REGION_STATE_MIXED: "mixed",
    RegionState.REGION_STATE_INVALID: "invalid",
    RegionState.REGION_STATE_SET_ASIDE: "set aside",
}


@dataclass(frozen=True)
class Badge:
    """A state in words, and how it is meant: good, bad, open or plain."""

    text: str
    tone: str


@dataclass(frozen=True)
class Card:
    """One region: what was found, what people said, and what the correction made of it."""

    number: int
    region: Region
    badge: Badge
    label: str
    seed: str
    predicted: str
    measured: RegionAccuracy | None
    """From the newest evaluation; None where it has none of it."""


def job_badge(state: JobState) -> Badge:
    """Of an audit, a correction or an evaluation."""
    text = JobState.Name(state).removeprefix("JOB_STATE_").lower()
    return Badge(text, _JOB_TONES.get(state, "plain"))


def is_unfinished(audit: Audit) -> bool:
    """Whether its page changes by itself still."""
    return audit.state in _UNFINISHED


def cards(regions: Sequence[Region], class_names: Sequence[str], evaluation: Evaluation | None) -> list[Card]:
    """The regions as cards."""
    measured = {entry.region: entry for entry in evaluation.regions} if evaluation else {}
    return [
        Card(
            number=int(region.name.rpartition("/")[2]),
            region=region,
            badge=_badge(region),
            label=class_name(class_names, region.label) if region.HasField("label") else "",
            seed=class_name(class_names, region.seed_label),
            predicted=class_name(class_names, region.predicted_class),
            measured=measured.get(region.name),
        )
        for region in regions
    ]


def class_name(class_names: Sequence[str], label: int) -> str:
    """The name of a class; its number where the dataset has none."""
    return class_names[label] if 0 <= label < len(class_names) else str(label)


def _badge(region: Region) -> Badge:
    if region.confirmed:
        return Badge("confirmed bug", "bad")
    tone = "good" if region.state == RegionState.REGION_STATE_LABELED else "open"
    return Badge(_STATE_WORDS.get(region.state, "not labeled yet"), tone)

"""A region as a card."""

from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import Region
from defuse.v1.promotion_service_pb2 import RegionAccuracy


@dataclass(frozen=True)
class Badge:
    """A state in words, and how it is meant: good, bad, open or plain."""

    text: str
    tone: str


@dataclass(frozen=True)
class Card:
    """One region: what was found, what people said, and what the candidate makes of it."""

    number: int
    region: Region
    badge: Badge
    label: str
    seed: str
    predicted: str
    measured: RegionAccuracy | None
    """None where no evaluation has it."""
    picture: str
    """URL of its samples' picture; empty where there is none to show."""
    agreement: float
    """As Region.agreement; 0 where it is not to be shown."""

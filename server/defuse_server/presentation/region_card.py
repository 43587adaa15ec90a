"""The card of a region."""

from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import Region
from defuse.v1.promotion_service_pb2 import RegionAccuracy


@dataclass(frozen=True)
class Badge:
    """A state in words with its tone: good, bad, open or plain."""

    text: str
    tone: str


@dataclass(frozen=True)
class Card:
    """One region: what the audit found, what people said, and the candidate's accuracy."""

    number: int
    region: Region
    badge: Badge
    label: str
    seed: str
    predicted: str
    measured: RegionAccuracy | None
    """None if no evaluation has measured the region."""
    picture: str
    """URL of the picture of its samples, or empty."""
    agreement: float
    """As Region.agreement; 0 hides it."""

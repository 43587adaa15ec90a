"""The card of a bug or a region."""

from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import Bug, Region
from defuse.v1.promotion_service_pb2 import RegionAccuracy


@dataclass(frozen=True)
class Badge:
    """A state in words with its tone: good, bad, open or plain."""

    text: str
    tone: str


@dataclass(frozen=True)
class Card:
    """One bug or region: what the audit found, what people said, and the candidate's accuracy."""

    kind: str
    """`bug` or `region`."""
    number: int
    region: Region | Bug
    badge: Badge
    label: str
    seed: str
    predicted: str
    measured: RegionAccuracy | None
    """None if no evaluation has measured it; of a bug, the mean of its regions."""
    picture: str
    """URL of the picture of its samples, or empty."""
    agreement: float
    """As Region.agreement; 0 hides it."""
    rank: int = 0
    """Place among all by misread inputs, from 1; 0 hides it."""
    share: float = 0.0
    """Share of all misread inputs, 0..1; 0 hides it."""

"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Process(StrEnum):
    """The processes whose needs can be checked, by their commands."""

    UP = "up"
    API = "api"
    WEB = "web"
    WORKER = "worker"


class Level(StrEnum):
    """How good or bad it is."""

    OK = "ok"
    WARNING = "warning"
    """The process works, and the operator should know."""
    WRONG = "wrong"
    """The process would not start, or could not do its work."""


@dataclass(frozen=True)
class Finding:
    """One line of the answer."""

    level: Level
    subject: str
    """What was tried, in a word or two."""
    told: str
    advice: str = ""
    """What to do; empty if all is well."""


def ok(subject: str, told: str) -> Finding:
    """Return that something works."""
    return Finding(Level.OK, subject, told)


def warning(subject: str, told: str, advice: str) -> Finding:
    """Return that something works and should be changed."""
    return Finding(Level.WARNING, subject, told, advice)


def wrong(subject: str, told: str, advice: str) -> Finding:
    """Return that something does not work."""
    return Finding(Level.WRONG, subject, told, advice)

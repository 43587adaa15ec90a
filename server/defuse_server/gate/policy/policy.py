"""A policy: what a candidate must show to be promoted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final, Self

from defuse.v1.audit_service_pb2 import AuditConfig

from defuse_server.gate.policy.bounds import CONFIDENCE, AuditBudget, Checks
from defuse_server.gate.policy.reading import VERSION, read_policy
from defuse_server.gate.policy.writing import written

UNJUDGED_SAMPLES: Final = 200
"""Samples of each region where no check asks for a number: they are shown all the same."""


@dataclass(frozen=True)
class Policy:
    """What a candidate must show to be promoted."""

    confidence: float = CONFIDENCE
    """Of each family's decisions together, in [0.8, 0.9999]."""
    checks: Checks = field(default_factory=Checks)
    audit: AuditBudget = field(default_factory=AuditBudget)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read YAML; an empty text is the default policy. Raises PolicyInvalid, which names every fault."""
        if not text:
            return cls()
        confidence, checks, audit = read_policy(text)
        return cls(confidence, checks, audit)

    def to_yaml(self) -> str:
        """The policy with every default written out; `parse` reads it back."""
        return written(self.plain())

    def plain(self) -> dict[str, Any]:
        """The policy as JSON has it; null is off."""
        return {"version": VERSION, **asdict(self)}

    @cached_property
    def sha256(self) -> str:
        """Of its canonical JSON: keys sorted, no spaces."""
        canonical = json.dumps(self.plain(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def samples_per_region(self) -> int:
        """How many fresh samples of each region an evaluation draws."""
        bound = self.checks.region_accuracy
        return bound.samples if bound else UNJUDGED_SAMPLES

    def audit_config(self) -> AuditConfig:
        """What an audit is made with where there is none."""
        limits: dict[str, Any] = {
            name: value for name, value in vars(self.audit).items() if value is not None
        }
        # Unset would be the default.
        limits.setdefault("patience_shards", -1)
        return AuditConfig(**limits)


DEFAULT: Final = Policy()

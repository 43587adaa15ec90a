"""A policy: what a candidate must show to be promoted."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Final, Self

from defuse.v1.audit_service_pb2 import AuditConfig

from defuse_server.gate.policy.bounds import CONFIDENCE, AuditBudget, Checks
from defuse_server.gate.policy.reading import VERSION, read_policy
from defuse_server.gate.policy.writing import written

UNCHECKED_SAMPLES: Final = 200
"""Samples of each region if no check asks for a number. Reports show them."""


@dataclass(frozen=True)
class Policy:
    """What a candidate must show to be promoted."""

    confidence: float = CONFIDENCE
    """Confidence of each family's decisions together, in [0.8, 0.9999]."""
    checks: Checks = field(default_factory=Checks)
    audit: AuditBudget = field(default_factory=AuditBudget)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read YAML. An empty text is the default policy. Raises `PolicyInvalid` with all faults."""
        if not text:
            return cls()
        confidence, checks, audit = read_policy(text)
        return cls(confidence, checks, audit)

    def to_yaml(self) -> str:
        """Return the policy with every default written out. `parse` reads it back."""
        return written(self.plain())

    def plain(self) -> dict[str, Any]:
        """Return the policy for JSON, where null means off."""
        return {"version": VERSION, **asdict(self)}

    @cached_property
    def sha256(self) -> str:
        """Digest of the policy's canonical JSON: keys sorted, no spaces."""
        canonical = json.dumps(self.plain(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def samples_per_region(self) -> int:
        """Number of fresh samples that an evaluation draws of each region."""
        bound = self.checks.region_accuracy
        return bound.samples if bound else UNCHECKED_SAMPLES

    def audit_config(self) -> AuditConfig:
        """Return the config of an audit that is started for an evaluation."""
        limits: dict[str, Any] = {
            name: value for name, value in vars(self.audit).items() if value is not None
        }
        # Unset would be the default.
        limits.setdefault("patience_shards", -1)
        return AuditConfig(**limits)


DEFAULT: Final = Policy()

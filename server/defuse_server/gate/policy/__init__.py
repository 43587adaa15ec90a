"""Promotion policies: what a candidate must show; see docs/policy.md."""

from defuse_server.gate.policy.policy import DEFAULT, Policy

__all__ = ["DEFAULT", "Policy"]

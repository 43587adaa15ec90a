"""The gate: figures of an evaluation and a policy in, verdict and checks out."""

from __future__ import annotations

from datetime import timedelta

from defuse.v1.promotion_service_pb2 import (
    VERDICT_FAIL,
    VERDICT_INCONCLUSIVE,
    VERDICT_PASS,
    Check,
    Evaluation,
    Verdict,
)

from defuse_server.gate import rule
from defuse_server.gate.policy import Policy


def judge(evaluation: Evaluation, policy: Policy, audit_age: timedelta) -> tuple[Verdict, list[Check]]:
    """Judge an evaluation whose figures are filled in.

    Any FAIL makes the verdict FAIL; otherwise any INCONCLUSIVE makes it INCONCLUSIVE; otherwise it is PASS.
    """
    checks = rule.judge(evaluation)[1]
    verdicts = {check.verdict for check in checks}
    if VERDICT_FAIL in verdicts:
        return VERDICT_FAIL, checks
    return (VERDICT_PASS if verdicts == {VERDICT_PASS} else VERDICT_INCONCLUSIVE), checks

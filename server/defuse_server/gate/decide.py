"""The gate's decision: from an evaluation's figures and a policy to a verdict and its checks.

It is a pure function: no clock, no Redis, no random numbers.
"""

from datetime import timedelta

from defuse.v1 import promotion_service_pb2 as pb

from defuse_server.gate.checks.clean_accuracy import class_accuracy_family, clean_accuracy_family
from defuse_server.gate.checks.family import decided
from defuse_server.gate.checks.labels_and_age import label_and_age_checks
from defuse_server.gate.checks.regions import region_checks
from defuse_server.gate.checks.second_search import search_family
from defuse_server.gate.policy import Policy


def decide(
    evaluation: pb.Evaluation, policy: Policy, audit_age: timedelta
) -> tuple[pb.Verdict, list[pb.Check]]:
    """Decide about an evaluation whose figures (test split, regions, second search, labeling) are filled in.

    Any FAIL makes the verdict FAIL. Otherwise any INCONCLUSIVE makes it INCONCLUSIVE, and so does a policy
    without checks. Otherwise the verdict is PASS.
    """
    bounds, error = policy.checks, 1 - policy.confidence
    checks = [
        *decided(clean_accuracy_family(evaluation, bounds), error),
        *decided(class_accuracy_family(evaluation, bounds), error),
        *region_checks(evaluation, bounds.region_accuracy, error),
        *decided(search_family(evaluation, bounds.second_search), error),
        *label_and_age_checks(evaluation, bounds, audit_age),
    ]
    verdicts = {check.verdict for check in checks}
    if pb.VERDICT_FAIL in verdicts:
        return pb.VERDICT_FAIL, checks
    return (pb.VERDICT_PASS if verdicts == {pb.VERDICT_PASS} else pb.VERDICT_INCONCLUSIVE), checks

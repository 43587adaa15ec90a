"""The bugs of audits with their labels."""

import builtins
from collections.abc import Sequence
from pathlib import Path

from defuse.v1.audit_service_pb2 import Bug
from redis.asyncio import Redis

from defuse_server import redis_keys
from defuse_server.errors import Fenced
from defuse_server.findings.published import Published
from defuse_server.findings.region_splits import region_split_outcomes
from defuse_server.host.redis_client import Script
from defuse_server.labels.bug_labels import labeled_cells, purity_bound
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.region_label import NOT_OPENED
from defuse_server.names import FIRST_BUG, bug_name, parse_bug_name


class Bugs(Published[Bug]):
    """The bugs of all audits."""

    def __init__(self, redis: Redis, labeling: Labeling) -> None:
        super().__init__(redis, Bug, redis_keys.bugs)
        self._labeling = labeling
        self._publish = Script(redis, Path(__file__).with_name("publish_bug.lua"))

    parse_name = staticmethod(parse_bug_name)

    async def publish(self, audit: str, bug: Bug, attempt: int) -> bool:
        """Publish a bug under the number in its name. Returns False if that number is already published.

        Annotators see the bug once `LabelQueue.open` has the number of its task. Raises `Fenced` if `attempt`
        no longer has the job.
        """
        _, number = parse_bug_name(bug.name)
        outcome = await self._publish(
            [redis_keys.resource(audit), redis_keys.bugs(audit)],
            [audit, redis_keys.CHANGED, attempt, number, bug.SerializeToString()],
        )
        if outcome == b"fenced":
            raise Fenced(audit, attempt)
        return outcome == b"published"

    async def _labeled(self, audit: str, findings: Sequence[Bug]) -> builtins.list[Bug]:
        """Add labels and splits to bugs of one audit, and return the bugs."""
        labels = await self._labeling.task_states(audit)
        splits = await region_split_outcomes(self._redis, audit)
        for bug in findings:
            number = FIRST_BUG + parse_bug_name(bug.name)[1]
            label = labels.get(number, NOT_OPENED)
            bug.state = label.state
            if label.label is not None:
                bug.label = label.label
            bug.confirmed = label.confirms(bug.predicted_class)
            bug.agreement = label.agreement
            bug.labeled_cells.extend(labeled_cells(bug, label))
            bug.purity_bound = purity_bound(bug, label)
            if split := splits.get(number):
                bug.parts.extend(bug_name(audit, part - FIRST_BUG) for part in split.parts)
                bug.unsplit_reason = split.reason
        return list(findings)

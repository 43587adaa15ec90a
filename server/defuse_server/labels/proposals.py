"""The proposals of an audit's bugs: how far they are believed, and which are used as labels.

A bug's proposal is its seeds' label. What people answer recalibrates the belief in all proposals, and
verifies those that the readers are surest of.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import REGION_STATE_LABELED, REGION_STATE_SET_ASIDE, Audit, Bug

from defuse_server.labels.labeling_rule import labeling_rule
from defuse_server.labels.recalibration import DecidedProposal, Recalibration, recalibrated
from defuse_server.labels.region_label import NOT_OPENED, OPEN_STATES, RegionLabel
from defuse_server.labels.verification import (
    LEAST_PROBABILITY,
    Verification,
    random_order,
    verification,
)
from defuse_server.names import FIRST_BUG, parse_bug_name, region_number


@dataclass(frozen=True)
class Proposals:
    """What people's answers say of the proposals of one audit."""

    recalibration: Recalibration
    verification: Verification
    in_use: Mapping[str, Bug]
    """The bugs without any answer whose proposals are used as labels, since they are verified, by name."""

    def probability(self, bug: Bug) -> float:
        """Return the probability that a bug's proposal is right, 0..1."""
        return self.recalibration(bug.label_probability)

    def labels(self) -> dict[int, RegionLabel]:
        """Return the labels of regions that come from proposals, by number: all cells take their bug's."""
        return {
            region_number(cell): RegionLabel(REGION_STATE_LABELED, bug.seed_label, 0, 0)
            for bug in self.in_use.values()
            for cell in bug.cells
        }


def proposals(audit: Audit, bugs: Sequence[Bug], tasks: Mapping[int, RegionLabel]) -> Proposals:
    """Return what the answers say of the proposals of an audit's bugs.

    The population is of bugs that the search found. Parts of a bug that people called mixed are no random
    sample of anything.
    """
    wanted = labeling_rule(audit.config).wanted
    labels = {number_of(bug): label_of(bug, tasks) for bug in bugs}
    population = {
        number_of(bug): bug for bug in bugs if not bug.parent and bug.label_probability >= LEAST_PROBABILITY
    }
    is_wrong = {
        number: not _is_right(bug, labels[number])
        for number, bug in population.items()
        if _is_answered(labels[number], wanted)
    }
    verified = verification(random_order(audit.name, population), is_wrong)
    unanswered = {
        bug.name: bug
        for number, bug in population.items()
        if labels[number].state in OPEN_STATES and not labels[number].answers
    }
    return Proposals(
        recalibration=recalibrated(list(_decided(bugs, labels))),
        verification=verified,
        in_use=unanswered if verified.verified else {},
    )


def number_of(bug: Bug) -> int:
    """Return the number of a bug."""
    return parse_bug_name(bug.name)[1]


def label_of(bug: Bug, tasks: Mapping[int, RegionLabel]) -> RegionLabel:
    """Return the labeling state of a bug, of those of all tasks."""
    return tasks.get(FIRST_BUG + number_of(bug), NOT_OPENED)


def _decided(bugs: Iterable[Bug], labels: Mapping[int, RegionLabel]) -> Iterable[DecidedProposal]:
    for bug in bugs:
        label = labels[number_of(bug)]
        if label.state not in (*OPEN_STATES, REGION_STATE_SET_ASIDE):
            yield DecidedProposal(bug.label_probability, _is_right(bug, label))


def _is_right(bug: Bug, label: RegionLabel) -> bool:
    return label.state == REGION_STATE_LABELED and label.label == bug.seed_label


def _is_answered(label: RegionLabel, wanted: int) -> bool:
    """Tell whether a bug counts in the sample.

    A bug that has its answers and is still open is in doubt: somebody contradicted its proposal, or could not
    tell. It counts as wrong until it is decided, or one doubt would hold up the whole sample.
    """
    return label.state not in OPEN_STATES or label.answers >= wanted

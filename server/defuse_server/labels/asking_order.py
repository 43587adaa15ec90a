"""The order in which bugs are asked about: what an answer repairs most comes first.

An answer is expected to repair the harm of the bug, times the probability that it changes what a correction
does. If the bug's proposal is used as its label, the answer changes that if the proposal is wrong. Otherwise
it does if it confirms the bug. Bugs whose samples the held-out readers doubt come after the others: people
often cannot name these either, and what they say of them is worth less than it seems.
"""

from collections.abc import Iterator, Mapping, Sequence

from defuse.v1.audit_service_pb2 import Bug

from defuse_server.labels.proposals import Proposals, label_of, number_of
from defuse_server.labels.region_label import OPEN_STATES, RegionLabel
from defuse_server.labels.verification import LEAST_PROBABILITY


def asking_order(bugs: Sequence[Bug], tasks: Mapping[int, RegionLabel], proposals: Proposals) -> list[Bug]:
    """Return the bugs that want answers, those to ask about first in front.

    While answers may still verify the proposals, every second bug is the next of the sample. The number of
    answers says whose turn it is, so the order can be made anew after each.
    """
    asked = [bug for bug in bugs if label_of(bug, tasks).state in OPEN_STATES]
    # The sort is stable: what repairs as much stays in the order of the numbers, which is that of harm.
    by_repair = sorted(asked, key=lambda bug: (_is_doubted(bug, proposals), -expected_repair(bug, proposals)))
    if not worth_verifying(bugs, tasks, proposals):
        return by_repair
    places = {number: place for place, number in enumerate(proposals.verification.missing)}
    sample = [bug for bug in asked if number_of(bug) in places]
    sample.sort(key=lambda bug: places[number_of(bug)])
    turns = [by_repair, sample]
    if sum(label_of(bug, tasks).answers for bug in bugs) % 2:
        turns.reverse()
    return list(_by_turns(turns))


def expected_repair(bug: Bug, proposals: Proposals) -> float:
    """Return the harm that an answer about a bug is expected to repair, a share of inputs."""
    right = proposals.probability(bug)
    return bug.harm.value * (1.0 - right if bug.name in proposals.in_use else right)


def _is_doubted(bug: Bug, proposals: Proposals) -> bool:
    """Tell whether a bug comes behind those that can be named at sight and have no label yet."""
    return bug.label_probability < LEAST_PROBABILITY or bug.name in proposals.in_use


def worth_verifying(bugs: Sequence[Bug], tasks: Mapping[int, RegionLabel], proposals: Proposals) -> bool:
    """Tell whether verified proposals would spare people answers about bugs with harm."""
    sample = proposals.verification
    spared = set(sample.order) - set(sample.missing)
    return bool(sample.missing) and any(
        bug.harm.value > 0 and number_of(bug) in spared and not label_of(bug, tasks).answers for bug in bugs
    )


def _by_turns(queues: Sequence[Sequence[Bug]]) -> Iterator[Bug]:
    """Yield one bug of each queue by turns, and none twice."""
    waiting = [iter(queue) for queue in queues]
    seen: set[str] = set()
    while waiting:
        queue = waiting.pop(0)
        found = next((bug for bug in queue if bug.name not in seen), None)
        if found is not None:
            seen.add(found.name)
            yield found
            waiting.append(queue)

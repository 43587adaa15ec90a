"""The outlook of an audit's labels: how far they go, what more answers would bring, and when to stop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from defuse.v1.audit_service_pb2 import Audit, Bug
from defuse.v1.label_service_pb2 import LabelingOutlook

from defuse_server.labels.asking_order import asking_order, expected_repair, worth_verifying
from defuse_server.labels.bug_labels import labeled_cells
from defuse_server.labels.labeling_rule import labeling_rule
from defuse_server.labels.proposals import Proposals, label_of, number_of, proposals
from defuse_server.labels.region_label import RegionLabel

NEXT_ANSWERS: Final = 10
"""How many answers ahead the outlook looks: a few minutes of an annotator."""
LEAST_GAIN: Final = 0.02
"""Less than this share of what the search found is not worth the next answers."""


def outlook(audit: Audit, bugs: Sequence[Bug], tasks: Mapping[int, RegionLabel]) -> LabelingOutlook:
    """Return the outlook of an audit with bugs, given the states of its tasks."""
    known = proposals(audit, bugs, tasks)
    split = {bug.parent for bug in bugs}
    whole = [bug for bug in bugs if bug.name not in split]
    forecast = _Forecast(labeling_rule(audit.config).wanted, whole, tasks, known)
    found = sum(bug.harm.value for bug in whole)
    corrected, gain = forecast.corrected(), forecast.gain(NEXT_ANSWERS)
    sample = known.verification
    accuracy = audit.preflight.classifier_accuracy
    told = LabelingOutlook(
        labeled_bug_count=sum(label_of(bug, tasks).label is not None for bug in whole),
        proposal_count=len(known.in_use),
        verified=sample.verified,
        population_count=len(sample.order),
        sample_count=sample.sample,
        wrong_count=sample.wrong,
        wrong_bound=sample.bound,
        answers_to_verify=forecast.answers_to_verify(),
        accuracy=min(1.0, accuracy + corrected),
        accuracy_next=min(1.0, accuracy + corrected + gain),
        second_search_ratio=1.0 - _over(corrected, found),
        second_search_ratio_next=1.0 - _over(corrected + gain, found),
        answers_left=forecast.answers_left(),
    )
    by_verifying = _over(forecast.gain_by_verifying(), found)
    # Ten of the answers that verify the proposals bring their part of what all of these do.
    of_ten = min(1.0, NEXT_ANSWERS / max(1, told.answers_to_verify))
    told.stop = not told.answers_left or max(_over(gain, found), of_ten * by_verifying) < LEAST_GAIN
    told.sentence = _sentence(told, by_verifying)
    told.verification = _verification(told)
    return told


@dataclass(frozen=True)
class _Forecast:
    """What answers about bugs that were not split are expected to correct: shares of inputs, 0..1."""

    wanted: int
    bugs: Sequence[Bug]
    tasks: Mapping[int, RegionLabel]
    known: Proposals

    def corrected(self) -> float:
        """Return the harm of what the labels in use correct."""
        return sum(self._corrected(bug) for bug in self.bugs)

    def _corrected(self, bug: Bug) -> float:
        if bug.name in self.known.in_use:
            return bug.harm.value * self.known.probability(bug)
        label = label_of(bug, self.tasks)
        if not label.confirms(bug.predicted_class):
            return 0.0
        return bug.harm.value * len(labeled_cells(bug, label)) / len(bug.cells)

    def gain(self, answers: int) -> float:
        """Return the harm that the next answers are expected to correct beyond that.

        If they are the last ones that verify the proposals, these count with the probability that all agree.
        """
        gain, asked = 0.0, set[str]()
        for bug in asking_order(self.bugs, self.tasks, self.known):
            share = min(1.0, answers / self._answers_of(bug))
            if share <= 0.0:
                break
            gain += expected_repair(bug, self.known) * share
            answers -= self._answers_of(bug)
            if share == 1.0:
                asked.add(bug.name)
        missing = self._missing()
        if missing and asked.issuperset(bug.name for bug in missing):
            gain += self._spared(asked)
        return gain

    def gain_by_verifying(self) -> float:
        """Return the harm that all answers which verify the proposals are expected to correct.

        It is 0 if verifying would spare nobody an answer.
        """
        if not worth_verifying(self.bugs, self.tasks, self.known):
            return 0.0
        missing = self._missing()
        own = sum(bug.harm.value * self.known.probability(bug) for bug in missing)
        return own + self._spared({bug.name for bug in missing})

    def answers_to_verify(self) -> int:
        """Return how many answers the sample still takes."""
        return sum(map(self._answers_of, self._missing()))

    def answers_left(self) -> int:
        """Return how many answers are wanted about all bugs."""
        return sum(map(self._answers_of, asking_order(self.bugs, self.tasks, self.known)))

    def _spared(self, asked: set[str]) -> float:
        """Return the harm that verified proposals correct, times the probability that they will be verified.

        Bugs that are `asked` have answers then, and no proposal.
        """
        of_population = set(self.known.verification.order)
        spared = (
            bug
            for bug in self.bugs
            if number_of(bug) in of_population
            and bug.name not in asked
            and not label_of(bug, self.tasks).answers
        )
        agreed = prod(self.known.probability(bug) for bug in self._missing())
        return agreed * sum(bug.harm.value * self.known.probability(bug) for bug in spared)

    def _missing(self) -> list[Bug]:
        missing = set(self.known.verification.missing)
        return [bug for bug in self.bugs if number_of(bug) in missing]

    def _answers_of(self, bug: Bug) -> int:
        """Return how many answers a bug still wants."""
        label = label_of(bug, self.tasks)
        return max(1, (label.wanted or self.wanted) - label.answers)


def _over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _sentence(told: LabelingOutlook, by_verifying: float) -> str:
    """Say whether to go on, and why. It tells annotators nothing of any bug."""
    corrected = _percent(1.0 - told.second_search_ratio)
    gain = told.second_search_ratio - told.second_search_ratio_next
    count = min(NEXT_ANSWERS, told.answers_left)
    upcoming, verb = (f"the next {count} answers", "are") if count > 1 else ("the next answer", "is")
    if not told.answers_left:
        return (
            f"Stop here: nothing is left to ask. Of what the search found, {corrected} is corrected by the "
            "labels."
        )
    if told.stop:
        return (
            f"Stop here: of what the search found, {corrected} is corrected by the labels so far; {upcoming} "
            f"would add {_percent(gain)}."
        )
    if gain >= LEAST_GAIN:
        further = f"{_percent(gain)} of what the search found"
        return f"Go on: {upcoming} {verb} expected to correct a further {further}."
    return (
        f"Go on: {told.answers_to_verify} answers about a random sample are expected to correct a further "
        f"{_percent(by_verifying)} of what the search found, as they show whether it can be believed."
    )


def _verification(told: LabelingOutlook) -> str:
    """Say how far the proposals are verified, to those who run audits."""
    if not told.population_count:
        return ""
    sample = f"people contradicted {told.wrong_count} of the {told.sample_count} in the random sample"
    sure = f"{_percent(told.wrong_bound)} of its {told.population_count} sure proposals"
    if told.verified:
        return (
            f"{told.proposal_count} bugs that nobody answered take the label that the search proposes: "
            f"{sample}, so with 95% confidence at most {sure} are wrong and not found."
        )
    needed = (
        f" {told.answers_to_verify} more answers would verify them, if all agree with it."
        if told.answers_to_verify
        else ""
    )
    return (
        f"No proposal of the search is used as a label: {sample}, so up to {sure} may be wrong and not found."
        f"{needed}"
    )


def _percent(share: float) -> str:
    """Return a share as per cent, with a decimal below 10%."""
    return f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}"

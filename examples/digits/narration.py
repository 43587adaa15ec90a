"""What the demo prints while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from defuse.messages import Audit, Bug, CorrectionPoint, Misclassification, Verdict
from rich.console import Console

from examples.digits.stand_in import Answer
from examples.digits.story import Story, percent
from examples.digits.train import Trained

MOST_KINDS = 12
"""How many kinds of mistake are shown one by one."""
COUNTED_EVERY_S = 1.0
FAMILIES = ("class_accuracy_change", "region_accuracy")
"""Checks with many subjects: the passed ones are not printed one by one."""


class Narrator:
    """Prints the demo's steps. Several threads may call it."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._names = class_names
        self._found = 0
        self._kinds: set[tuple[int, int]] = set()
        self._counted_at_s = 0.0

    def step(self, text: str) -> None:
        """Print the heading of the next step."""
        self.console.print(f"\n[bold]{text}[/bold]")

    def line(self, text: str) -> None:
        """Print one fact."""
        self.console.print(f"  {text}")

    def trained(self, models: Trained) -> None:
        """Print how good the models are."""
        self.line(
            f"classifier: {percent(models.train_accuracy)} accuracy on train, "
            f"{percent(models.validation_accuracy)} on validation"
        )
        self.line(f"VAE: readability {models.readability:.3f} on validation")
        self.line(
            f"annotators' stand-in: {percent(models.stand_in_validation_accuracy)} accuracy on validation "
            "when trained on train alone; the one in use is trained on both"
        )

    def misclassifications(self, found: Iterable[Misclassification]) -> None:
        """Print the first mistake of each kind, and a count once a second."""
        for one in found:
            self._found += 1
            kind = (one.seed_label, one.predicted_class)
            if kind not in self._kinds and len(self._kinds) < MOST_KINDS:
                self._kinds.add(kind)
                self.line(
                    f"{_with_article(self._names[one.seed_label])} read as "
                    f"[red]{self._names[one.predicted_class]}[/red] with {percent(one.confidence)} "
                    f"confidence, {one.delta_norm:.2f} away from train item {one.seed_index}"
                )
        if time.monotonic() - self._counted_at_s > COUNTED_EVERY_S:
            self._counted_at_s = time.monotonic()
            self.line(f"{self._found:,} misclassifications so far")

    def bug(self, bug: Bug) -> None:
        """Print one line for a bug."""
        regions = "1 region" if len(bug.cells) == 1 else f"{len(bug.cells)} regions"
        self.line(
            f"bug {bug.name.rsplit('/', 1)[-1]:>2}: {self._names[bug.seed_label]} read as "
            f"[red]{self._names[bug.predicted_class]}[/red], {regions}, {bug.size:,} codes from "
            f"{bug.seed_count} seeds, {1e6 * bug.harm.value:,.0f} misread inputs per million"
        )

    def audit(self, audit: Audit) -> None:
        """Print the audit's totals and warnings."""
        self.line(
            f"[bold]{audit.misclassification_count:,} misclassifications[/bold] in {audit.region_count} "
            f"regions, from {audit.candidate_count:,} candidates around {audit.seed_count:,} seeds"
        )
        for warning in audit.warnings:
            self.line(f"[yellow]{warning.message}[/yellow]")

    def labels(self, answers: Sequence[Answer], bugs: Sequence[Bug]) -> None:
        """Print the answers and how many bugs they confirm."""
        mixed = sum(answer.label is None for answer in answers)
        self.line(f"{len(answers)} answers: {len(answers) - mixed} labels, {mixed} mixed")
        cells = sum(len(bug.labeled_cells) for bug in bugs)
        confirmed = sum(bug.confirmed for bug in bugs)
        self.line(
            f"[bold]{confirmed} confirmed bugs[/bold]: the label differs from the classifier's prediction; "
            f"labels for {cells} regions"
        )

    def point(self, point: CorrectionPoint) -> None:
        """Print one line for a setting of the sweep."""
        weight = getattr(point, "lambda")
        chosen = " [bold]chosen[/bold]" if point.chosen else ""
        state = " diverged" if point.diverged else ""
        mined = f", {point.mined_count} mined misclassifications" if point.mined_count else ""
        self.line(
            f"lambda {weight:<5g} learning rate {point.learning_rate:<6g} {point.epochs:>3} epochs{mined}: "
            f"region samples {percent(point.region_accuracy):>6}, "
            f"validation {percent(point.validation_accuracy)}{state}{chosen}"
        )

    def verdict(self, story: Story) -> None:
        """Print the gate's verdict and its grounds."""
        colour = {"PASS": "green", "FAIL": "red"}.get(story.verdict, "yellow")
        self.line(f"[bold {colour}]{story.verdict}[/bold {colour}]  {story.headline()}")
        checks = list(story.evaluation.checks)
        for check in checks:
            if check.check not in FAMILIES or check.verdict != Verdict.VERDICT_PASS:
                name = " ".join(filter(None, (check.check, check.subject)))
                self.line(f"{name}: {check.explanation} {check.remedy}".strip())
        self.line(
            "a stand-in for people gave the labels; it gets "
            f"{percent(story.stand_in_test_accuracy)} of the test split right"
        )
        self.line(f"region_accuracy: {story.repaired_regions()} reach the bound")


def _with_article(name: str) -> str:
    return f"an {name}" if name == "eight" else f"a {name}"

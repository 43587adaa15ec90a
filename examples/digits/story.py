"""The results of a run of the demo, for its narration and its last line."""

from __future__ import annotations

from dataclasses import dataclass

from defuse.messages import Audit, Bug, Check, Correction, Evaluation, Region, Verdict

REFUSALS = {
    "clean_accuracy_change": "test accuracy falls",
    "class_accuracy_change": "a digit is forgotten",
    "region_accuracy": "regions remain wrong",
    "second_search": "a second search finds more mistakes than before",
}


@dataclass(frozen=True)
class Story:
    """What one run found. Accuracies are 0..1. Without a confirmed bug, there is no correction."""

    class_names: tuple[str, ...]
    audit: Audit
    regions: tuple[Region, ...]
    bugs: tuple[Bug, ...]
    correction: Correction | None
    evaluation: Evaluation
    test_accuracy_before: float
    """Accuracy of the audited file, which the demo measures itself with onnxruntime."""
    test_accuracy_after: float
    """Accuracy of the corrected file, as it was downloaded."""
    stand_in_test_accuracy: float
    seconds: float

    @property
    def verdict(self) -> str:
        """`PASS`, `FAIL` or `INCONCLUSIVE`."""
        return verdict_name(self.evaluation.verdict)

    @property
    def confirmed_bugs(self) -> int:
        """How many bugs have a label that differs from the classifier's prediction."""
        return sum(bug.confirmed for bug in self.bugs)

    def repaired_regions(self) -> str:
        """Return of how many confirmed regions, the cells of the bugs, the gate confirms the repair."""
        checks: list[Check] = [c for c in self.evaluation.checks if c.check == "region_accuracy"]
        repaired = sum(c.verdict == Verdict.VERDICT_PASS for c in checks)
        return f"{repaired} of {len(checks)} confirmed regions"

    def region_accuracy(self) -> tuple[float, float]:
        """Return the share of regions' fresh samples that get the label, before and after; 0 without any."""
        measured = list(self.evaluation.regions)
        samples = sum(region.samples for region in measured)
        if not samples:
            return 0.0, 0.0
        before = sum(region.accuracy_before * region.samples for region in measured) / samples
        after = sum(region.accuracy_after * region.samples for region in measured) / samples
        return before, after

    def headline(self) -> str:
        """Return the outcome in one sentence."""
        bugs = f"{self.confirmed_bugs} bug" + ("" if self.confirmed_bugs == 1 else "s")
        if self.correction is None:
            return f"{len(self.bugs)} bugs found, none of them confirmed: there is nothing to correct"
        if self.verdict == "PASS":
            return f"{bugs} found and repaired: the corrected classifier may be promoted"
        if self.verdict == "FAIL":
            return f"{bugs} found, {self.repaired_regions()} repaired, but no promotion: {self._refusals()}"
        return f"{bugs} found, {self.repaired_regions()} repaired, but too little evidence to promote"

    def _refusals(self) -> str:
        checks: list[Check] = list(self.evaluation.checks)
        failed = dict.fromkeys(c.check for c in checks if c.verdict == Verdict.VERDICT_FAIL)
        return ", ".join(REFUSALS.get(name, name) for name in failed)

    def summary(self) -> dict[str, str | int | float]:
        """Return the demo's last line."""
        region_before, region_after = self.region_accuracy()
        return {
            "verdict": self.verdict,
            "misclassifications": self.audit.misclassification_count,
            "regions": len(self.regions),
            "confirmed_bugs": self.confirmed_bugs,
            "test_accuracy_before": round(self.test_accuracy_before, 4),
            "test_accuracy_after": round(self.test_accuracy_after, 4),
            "region_accuracy_before": round(region_before, 4),
            "region_accuracy_after": round(region_after, 4),
            "seconds": round(self.seconds, 1),
        }


def verdict_name(verdict: Verdict) -> str:
    """Shorten VERDICT_PASS to `PASS`."""
    return Verdict.Name(verdict).removeprefix("VERDICT_")


def percent(share: float) -> str:
    """Format 0.983 as `98.3%`."""
    return f"{share:.1%}"

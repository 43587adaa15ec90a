"""All that a run of the demo found out, for its report and its last line."""

from __future__ import annotations

from dataclasses import dataclass

from defuse.messages import Audit, Check, Correction, Evaluation, Region, Verdict

REFUSALS = {
    "clean_accuracy_change": "test accuracy falls",
    "class_accuracy_change": "a digit is forgotten",
    "region_accuracy": "regions remain wrong",
    "second_search": "a second search finds more than before",
}


@dataclass(frozen=True)
class Story:
    """Accuracies are 0..1. Without a confirmed bug there is no correction and no corrected classifier."""

    class_names: tuple[str, ...]
    audit: Audit
    regions: tuple[Region, ...]
    correction: Correction | None
    evaluation: Evaluation
    test_accuracy_before: float
    """Of the audited file, measured by the demo itself with onnxruntime."""
    test_accuracy_after: float
    """Likewise of the corrected file, as it was downloaded."""
    stand_in_test_accuracy: float
    seconds: float

    @property
    def verdict(self) -> str:
        """`PASS`, `FAIL` or `INCONCLUSIVE`."""
        return verdict_name(self.evaluation.verdict)

    @property
    def confirmed_bugs(self) -> int:
        """How many regions got a label other than the classifier's prediction."""
        return sum(region.confirmed for region in self.regions)

    def repaired_bugs(self) -> int:
        """How many confirmed bugs the gate holds for repaired."""
        checks: list[Check] = list(self.evaluation.checks)
        return sum(c.check == "region_accuracy" and c.verdict == Verdict.VERDICT_PASS for c in checks)

    def region_accuracy(self) -> tuple[float, float]:
        """Share of fresh samples of labeled regions that get their label, before and after; 0 without any."""
        measured = list(self.evaluation.regions)
        samples = sum(region.samples for region in measured)
        if not samples:
            return 0.0, 0.0
        before = sum(region.accuracy_before * region.samples for region in measured) / samples
        after = sum(region.accuracy_after * region.samples for region in measured) / samples
        return before, after

    def headline(self) -> str:
        """One sentence with the outcome."""
        bugs = f"{self.confirmed_bugs} bug" + ("" if self.confirmed_bugs == 1 else "s")
        if self.correction is None:
            return f"{len(self.regions)} regions found, none of them a confirmed bug: nothing to correct"
        if self.verdict == "PASS":
            return f"{bugs} found and repaired: the corrected classifier may be promoted"
        if self.verdict == "FAIL":
            return f"{self.repaired_bugs()} of {bugs} repaired, but not to be promoted: {self._refusals()}"
        return f"{self.repaired_bugs()} of {bugs} repaired: too little evidence to promote"

    def _refusals(self) -> str:
        checks: list[Check] = list(self.evaluation.checks)
        failed = dict.fromkeys(c.check for c in checks if c.verdict == Verdict.VERDICT_FAIL)
        return ", ".join(REFUSALS.get(name, name) for name in failed)

    def summary(self) -> dict[str, str | int | float]:
        """The demo's last line."""
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
    """`PASS` of VERDICT_PASS."""
    return Verdict.Name(verdict).removeprefix("VERDICT_")


def percent(share: float) -> str:
    """`98.3%` of 0.983."""
    return f"{share:.1%}"

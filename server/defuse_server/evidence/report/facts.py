"""The content of both forms of the report."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from defuse.frozen_labels import unsettled
from defuse.v1.promotion_service_pb2 import VERDICT_FAIL, VERDICT_PASS, ClassAccuracy, Evaluation

from defuse_server.evidence.materials import Materials
from defuse_server.presentation.checks import TONES, verdict_word
from defuse_server.presentation.formatting import class_name, count, percent


@dataclass(frozen=True)
class Figure:
    """One figure of the baseline and the candidate."""

    name: str
    before: str
    after: str
    change: str


@dataclass(frozen=True)
class ClassLine:
    """One class of the test split."""

    name: str
    figures: ClassAccuracy

    @property
    def change(self) -> float:
        """The candidate's accuracy minus the baseline's."""
        return self.figures.accuracy_after - self.figures.accuracy_before


@dataclass(frozen=True)
class Confusion:
    """Confirmed bugs that show one class and are read as another."""

    label: int
    predicted_class: int
    shows: str
    read_as: str
    regions: int
    repaired: int
    """Number of the regions that pass their check."""
    misclassifications: int


@dataclass(frozen=True)
class Digest:
    """One input that the verdict is bound to."""

    name: str
    sha256: str
    resource: str


def headline(materials: Materials) -> tuple[str, str, str]:
    """Return the verdict, its tone, and the answer with `{candidate}` and `{baseline}` in place of names."""
    evaluation = materials.evaluation
    verdict = verdict_word(evaluation.verdict)
    failed = sum(check.verdict == VERDICT_FAIL for check in evaluation.checks)
    unclear = sum(check.verdict not in (VERDICT_FAIL, VERDICT_PASS) for check in evaluation.checks)
    answers = {
        "PASS": "{candidate} may be promoted in place of {baseline}",
        "FAIL": "{candidate} may not be promoted in place of {baseline}: "
        f"{count(failed, 'check fails', 'checks fail')}",
    }
    unknown = (
        "Not enough evidence to promote {candidate} in place of {baseline}: "
        f"{count(unclear, 'check is inconclusive', 'checks are inconclusive')}"
    )
    return verdict, TONES.get(verdict, "open"), answers.get(verdict, unknown)


def model_names(materials: Materials) -> dict[str, str]:
    """Return the display names of candidate and baseline, or their resource names if those are alike."""
    candidate = materials.candidate.display_name or materials.candidate.name
    baseline = materials.baseline.display_name or materials.baseline.name
    if candidate == baseline:
        return {"candidate": materials.candidate.name, "baseline": materials.baseline.name}
    return {"candidate": candidate, "baseline": baseline}


def figures(materials: Materials) -> list[Figure]:
    """Return the figures of the test split, the regions and the fresh search."""
    evaluation = materials.evaluation
    found = evaluation.second_search
    rates = [
        1000 * misclassifications / candidates if candidates else 0.0
        for misclassifications, candidates in (
            (found.misclassifications_before, found.candidates_before),
            (found.misclassifications_after, found.candidates_after),
        )
    ]
    confirmed = [entry for entry in evaluation.regions if entry.confirmed]
    samples = sum(entry.samples for entry in confirmed) or 1
    before = sum(entry.accuracy_before * entry.samples for entry in confirmed) / samples
    after = sum(entry.accuracy_after * entry.samples for entry in confirmed) / samples
    lines = [
        _accuracy(
            f"Accuracy on the test split, {count(evaluation.test_size, 'item')}",
            evaluation.test_accuracy_before,
            evaluation.test_accuracy_after,
        )
    ]
    if confirmed:
        lines.append(
            _accuracy(f"Accuracy on fresh samples of {count(len(confirmed), 'confirmed bug')}", before, after)
        )
    lines.append(
        Figure(
            "Misclassifications per 1,000 candidates of a fresh search",
            f"{rates[0]:.2f}",
            f"{rates[1]:.2f}",
            f"{rates[1] / rates[0] - 1:+.0%}" if rates[0] else "",
        )
    )
    return lines


def _accuracy(name: str, before: float, after: float) -> Figure:
    return Figure(name, percent(before), percent(after), f"{100 * (after - before):+.1f} points")


def classes(materials: Materials) -> list[ClassLine]:
    """Return the classes of the test split, the largest loss first."""
    names = materials.dataset.class_names
    lines = [ClassLine(class_name(names, entry.label), entry) for entry in materials.evaluation.classes]
    return sorted(lines, key=lambda line: line.change)


def labels_used(evaluation: Evaluation) -> str:
    """Return the labels that the verdict stands on, and what has none because nobody has settled it."""
    waiting = unsettled(evaluation.labeling)
    left_out = f" Not in these labels: {waiting}." if waiting else ""
    return f"The verdict stands on the labels of {count(len(evaluation.regions), 'region')}.{left_out}"


def confusions(materials: Materials) -> list[Confusion]:
    """Return the confirmed bugs by label and predicted class, the most frequent first."""
    sizes = {region.name: region.size for region in materials.regions}
    passed = {check.subject for check in materials.evaluation.checks if check.verdict == VERDICT_PASS}
    pairs: dict[tuple[int, int], list[str]] = defaultdict(list)
    for entry in materials.evaluation.regions:
        if entry.confirmed:
            pairs[entry.label, entry.predicted_class].append(entry.region)
    names = materials.dataset.class_names
    found = [
        Confusion(
            label=label,
            predicted_class=predicted,
            shows=class_name(names, label),
            read_as=class_name(names, predicted),
            regions=len(regions),
            repaired=sum(region in passed for region in regions),
            misclassifications=sum(sizes.get(region, 0) for region in regions),
        )
        for (label, predicted), regions in sorted(pairs.items())
    ]
    return sorted(found, key=lambda one: -one.regions)


def digests(materials: Materials) -> list[Digest]:
    """Return the inputs whose digest is known."""
    evaluation, audit = materials.evaluation, materials.audit
    found: Sequence[tuple[str, str, str]] = (
        ("Candidate", evaluation.candidate_sha256, evaluation.candidate),
        ("Baseline", evaluation.baseline_sha256, evaluation.baseline),
        ("Policy", evaluation.policy_sha256, ""),
        ("Dataset", evaluation.dataset_sha256, audit.dataset),
        ("VAE, encoder", evaluation.encoder_sha256, audit.vae),
        ("VAE, decoder", evaluation.decoder_sha256, audit.vae),
        ("Audit's regions", evaluation.regions_artifact.removeprefix("artifacts/"), evaluation.audit),
        ("Labels", evaluation.label_set_digest, ""),
        ("All inputs", evaluation.input_digest, evaluation.name),
    )
    return [Digest(*entry) for entry in found if entry[1]]

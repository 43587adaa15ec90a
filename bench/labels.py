"""The repair curve: what N answers of a person buy, beside other ways to spend them.

The classifier under audit is trained to its end. An oracle that nothing is chosen by answers. Each contestant
gets N answers, and the classifier is corrected on what they say. Repair is counted on fresh samples of the
regions that a search of ten times the budget finds, beyond what the same fine-tuning repairs without any
answer (the control). Environment: DATASET (digits, mnist, fashion or gtsrb; default digits), ANSWERS (default
10,30,100,300), CONTESTANTS (default all), NOISE (default 0.05), COVERAGE_TIMES (default 10), MODELS_DIR,
VAE_BUDGET_S, THREADS.

Contestants: `default` answers bugs, in their order; `default_noisy` does so with an oracle that errs in the
share NOISE of its answers; `regions` answers regions one by one, by harm; `paper`
the regions of the published method; `singles` single misclassifications at random; `random_items` and
`uncertain_items` label items of the validation split, at random and where the classifier is least sure, and
train on them; `no_answers` gives every region its seeds' label, and asks nobody.

`first_bugs` says what the bugs shown first are: `confirmed` and `purity` count fresh samples of all their
cells together.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench import _answers
from bench._answers import Answer
from bench._data import as_input
from bench._engine import Run, run_job
from bench._labeling import Labeling
from bench._materials import Materials, prepare
from bench._scores import Model, draw_samples, read_audit
from defuse_engine.covariance import diagonal
from defuse_engine.regions.regions_file import read_regions, write_regions
from defuse_engine.types import Regions

CONTESTANTS = (
    "default",
    "default_noisy",
    "regions",
    "paper",
    "singles",
    "random_items",
    "uncertain_items",
    "no_answers",
)
WORK = Path(__file__).parent.parent / "out" / "bench" / "labels" / (os.environ.get("DATASET") or "digits")
_FIRST = 30
"""Number of bugs that `first_bugs` looks at."""
_NOISE = 0.05
_REPEATED = 20
"""Times that a labeled item is added to the train split: a few items among thousands would not be seen."""
_POINT = 1e-3
"""Standard deviation of the region around a single misclassification."""
_AUDITS: dict[str, dict[str, Any]] = {"digits": {"candidates_per_seed": 60, "kept_per_seed": 20}}
"""Settings of the audit where they are not the default: digits has a thousand seeds, as in the tutorial."""
Answered = tuple[Regions, dict[int, int], Materials | None]
"""Regions, their labels by number, and materials with more train items if there are any."""


@dataclass(frozen=True)
class _Bench:
    materials: Materials
    device: str
    threads: int
    audit: Run

    def model(self, name: str) -> Model:
        """Open a model of the materials."""
        return Model(self.materials.folder / name, self.threads)

    def answer(self, images: np.ndarray) -> Answer:
        """Let the oracle say what samples show."""
        return _answers.read(self.model("oracle.onnx"), images)


def run(device: str) -> dict[str, object]:
    """Run every contestant, and print a line for each point of its curve."""
    name = os.environ.get("DATASET") or "digits"
    numbers = [int(number) for number in (os.environ.get("ANSWERS") or "10,30,100,300").split(",")]
    chosen = (os.environ.get("CONTESTANTS") or ",".join(CONTESTANTS)).split(",")
    threads = int(os.environ.get("THREADS") or len(os.sched_getaffinity(0)))
    materials = prepare(name, device, "converged")
    if materials is None:
        return {"skipped": f"{name} is not on this machine", "dataset": name}
    config = _AUDITS.get(name, {})
    audit = run_job(WORK / "audit", materials.folder, "audit", materials.inputs, config, 0, device)
    bench = _Bench(materials, device, threads, audit)
    reference = _reference(bench)
    print(
        f"{name}: {len(audit.result['bugs'])} bugs of {len(audit.result['regions'])} regions; "
        f"{len(reference[1])} reference samples",
        flush=True,
    )
    if not len(reference[1]):
        return {"skipped": "the oracle confirms no region of the wide search", "dataset": name}
    first = _first_bugs(bench)
    print(f"the first bugs: {_shown(first)}", flush=True)
    harm = _harm(bench)
    print(f"harm: {_shown(harm)}", flush=True)
    curves: dict[str, dict[str, dict[str, float]]] = {}
    for contestant in chosen:
        curves[contestant] = {}
        for number, answered in _CONTESTANTS[contestant](bench, numbers):
            point = _corrected(bench, f"{contestant}-{number}", answered, reference)
            curves[contestant][str(number)] = point
            print(f"{contestant}, {number} answers: {_shown(point)}", flush=True)
    points = [point for curve in curves.values() for point in curve.values()]
    changes = [point["control_clean_change"] for point in points if "control_clean_change" in point]
    if changes:
        print(f"control's clean change: {changes[0]:+.4f}", flush=True)
    return {
        "dataset": name,
        "bugs": len(audit.result["bugs"]),
        "regions": len(audit.result["regions"]),
        "first_bugs": first,
        "harm": harm,
        **curves,
        "answers_to_090": {
            contestant: next(
                (int(number) for number, point in curve.items() if point["repaired"] >= 0.9), None
            )
            for contestant, curve in curves.items()
        },
        "control_clean_change": changes[0] if changes else None,
    }


def _first_bugs(bench: _Bench) -> dict[str, float]:
    found = bench.audit.result["bugs"]
    bugs = [found[number] for number in Labeling(found).order()[:_FIRST]]
    if not bugs:
        return {"bugs": 0}
    oracle = bench.model("oracle.onnx")
    read = [
        oracle.predict(images)
        for images in draw_samples(_regions(bench.audit), bench.model("vae_decoder.onnx"), 0)
    ]
    counts = [np.bincount(np.concatenate([read[cell] for cell in bug["cells"]])) for bug in bugs]
    return {
        "bugs": len(bugs),
        "confirmed": _mean(
            [count.argmax() != bug["predicted_class"] for count, bug in zip(counts, bugs, strict=True)]
        ),
        "purity": _mean([count.max() / count.sum() for count in counts]),
        "median_seeds": float(np.median([bug["seed_count"] for bug in bugs])),
    }


def _harm(bench: _Bench) -> dict[str, float]:
    """Return the harm of all bugs, and the share of test items that are misread as one of the bugs says."""
    bugs, data = bench.audit.result["bugs"], bench.materials.data
    confusions = {(bug["seed_label"], bug["predicted_class"]) for bug in bugs}
    predicted = bench.model("classifier.onnx").predict(as_input(data.test_images))
    misread = [pair in confusions for pair in zip(data.test_labels.tolist(), predicted.tolist(), strict=True)]
    return {"of_bugs": sum(bug["harm"]["value"] for bug in bugs), "on_test": _mean(misread)}


def _mean(values: list[Any]) -> float:
    return float(np.mean(values))


def _shown(figures: dict[str, float]) -> str:
    return ", ".join(f"{figure} {value:.4g}" for figure, value in figures.items())


def _reference(bench: _Bench) -> tuple[np.ndarray, np.ndarray]:
    """Return fresh samples of the regions that a wide search finds, and the oracle's labels of them.

    Only samples count that the oracle reads as something else than the classifier.
    """
    times = int(os.environ.get("COVERAGE_TIMES") or 10)
    items = len(bench.materials.data.train_labels)
    candidates = max(1, times * int(bench.audit.result["candidates"]) // items)
    config = {"max_seeds": 0, "candidates_per_seed": candidates, "patience_shards": -1}
    wide = run_job(
        WORK / "wide", bench.materials.folder, "audit", bench.materials.inputs, config, 1000, bench.device
    )
    drawn = draw_samples(_regions(wide), bench.model("vae_decoder.onnx"), 1000)
    images = np.concatenate([*drawn, as_input(bench.materials.data.test_images[:0])])
    labels = bench.model("oracle.onnx").predict(images)
    wrong = labels != bench.model("classifier.onnx").predict(images)
    return images[wrong], labels[wrong]


def _regions(audit: Run) -> Regions:
    return read_regions(audit.folder / "output" / "regions.npz")


def _by_bug(bench: _Bench, numbers: list[int]) -> Iterator[tuple[int, Answered]]:
    yield from _with_slips(bench, numbers, 0.0)


def _by_bug_noisy(bench: _Bench, numbers: list[int]) -> Iterator[tuple[int, Answered]]:
    yield from _with_slips(bench, numbers, float(os.environ.get("NOISE") or _NOISE))


def _with_slips(bench: _Bench, numbers: list[int], noise: float) -> Iterator[tuple[int, Answered]]:
    """Answer bugs in the service's order. A label against the seeds' takes two answers."""
    rng = np.random.default_rng(0)
    classes = len(bench.materials.data.class_names)
    regions, bugs, spent = _regions(bench.audit), bench.audit.result["bugs"], 0
    labeling = Labeling(bugs)
    wanted = iter(numbers)
    most = next(wanted)
    while order := labeling.order():
        bug = bugs[order[0]]
        answer = bench.answer(_sheet(bench.audit.folder, bug["sheet"]))
        label, answers = _answers.decided(
            bug["seed_label"], partial(_answers.with_slips, answer, classes, noise, rng)
        )
        while spent + answers > most:
            yield most, (regions, labeling.labels(), None)
            following = next(wanted, None)
            if following is None:
                return
            most = following
        spent += answers
        labeling.decide(order[0], label, answers)
    yield spent, (regions, labeling.labels(), None)


def _sheet(folder: Path, sheet: dict[str, Any]) -> np.ndarray:
    samples = np.load(folder / sheet["samples_file"])
    return samples.transpose(0, 3, 1, 2).astype(np.float32) / 255.0


def _one_by_one(audit: Run) -> Callable[[_Bench, list[int]], Iterator[tuple[int, Answered]]]:
    def answer(bench: _Bench, numbers: list[int]) -> Iterator[tuple[int, Answered]]:
        found = audit.result["regions"]
        said = [bench.answer(_sheet(audit.folder, region["sheet"])) for region in found[: max(numbers)]]
        for number in _within(numbers, len(found)):
            labels = {region: label for region, label in enumerate(said[:number]) if label is not None}
            yield number, (_regions(audit), labels, None)

    return answer


def _by_region(bench: _Bench, numbers: list[int]) -> Iterator[tuple[int, Answered]]:
    yield from _one_by_one(bench.audit)(bench, numbers)


def _by_paper(bench: _Bench, numbers: list[int]) -> Iterator[tuple[int, Answered]]:
    items = len(bench.materials.data.train_labels)
    candidates = int(bench.audit.result["candidates"])
    seeds = min(items, max(1, candidates // 100))
    config = {"preset": "paper", "max_seeds": seeds, "candidates_per_seed": max(1, candidates // seeds)}
    audit = run_job(
        WORK / "paper", bench.materials.folder, "audit", bench.materials.inputs, config, 0, bench.device
    )
    yield from _one_by_one(audit)(bench, numbers)


def _singles(bench: _Bench, numbers: list[int]) -> Iterator[tuple[int, Answered]]:
    codes, predicted = read_audit(bench.audit.folder)
    order = np.random.default_rng(0).permutation(len(codes))
    oracle, decoder = bench.model("oracle.onnx"), bench.model("vae_decoder.onnx")
    for number in _within(numbers, len(order)):
        rows = order[:number]
        labels = oracle.predict(decoder(codes[rows]))
        yield number, (_points(codes[rows], labels, predicted[rows]), dict(enumerate(labels.tolist())), None)


def _points(codes: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> Regions:
    """Return a region around each code that holds nothing else."""
    count, size = codes.shape
    return Regions(
        weights=np.full(count, 1.0 / count),
        means=codes.astype(np.float64),
        covariances=(diagonal(np.full(size, _POINT)),) * count,
        seed_labels=labels.astype(np.int32),
        predicted_classes=predicted.astype(np.int32),
        sizes=np.ones(count, np.int64),
        member_offsets=np.arange(count + 1),
        members=np.arange(count),
        tau=1.0,
    )


def _random_items(bench: _Bench, numbers: list[int]) -> Iterator[tuple[int, Answered]]:
    count = len(bench.materials.data.validation_labels)
    yield from _items(bench, numbers, np.random.default_rng(0).permutation(count), "random")


def _uncertain_items(bench: _Bench, numbers: list[int]) -> Iterator[tuple[int, Answered]]:
    images = as_input(bench.materials.data.validation_images)
    best = np.sort(bench.model("classifier.onnx")(images), axis=1)[:, -2:]
    yield from _items(bench, numbers, np.argsort(best[:, 1] - best[:, 0]), "uncertain")


def _items(bench: _Bench, numbers: list[int], order: np.ndarray, name: str) -> Iterator[tuple[int, Answered]]:
    """Add labeled items to the train split; the control's training on them is the contestant's."""
    data = bench.materials.data
    for number in _within(numbers, len(order)):
        rows = np.repeat(order[:number], _REPEATED)
        folder = WORK / f"{name}-{number}-inputs"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bench.materials.folder, folder)
        with np.load(bench.materials.folder / "dataset.npz") as file:
            arrays = dict(file)
        arrays["x_train"] = np.concatenate([arrays["x_train"], data.validation_images[rows]])
        arrays["y_train"] = np.concatenate([arrays["y_train"], data.validation_labels[rows]])
        np.savez(folder / "dataset.npz", **arrays)  # pyright: ignore[reportArgumentType]
        regions = _regions(bench.audit)
        labels = dict(enumerate(regions.seed_labels.tolist()))
        yield number, (regions, labels, Materials(data, folder))


def _no_answers(bench: _Bench, numbers: list[int]) -> Iterator[tuple[int, Answered]]:
    regions = _regions(bench.audit)
    yield 0, (regions, dict(enumerate(regions.seed_labels.tolist())), None)


def _within(numbers: list[int], most: int) -> list[int]:
    """Return the numbers that can be spent, and the whole if one is larger."""
    return sorted({min(number, most) for number in numbers})


_CONTESTANTS: dict[str, Callable[[_Bench, list[int]], Iterator[tuple[int, Answered]]]] = {
    "default": _by_bug,
    "default_noisy": _by_bug_noisy,
    "regions": _by_region,
    "paper": _by_paper,
    "singles": _singles,
    "random_items": _random_items,
    "uncertain_items": _uncertain_items,
    "no_answers": _no_answers,
}


def _corrected(
    bench: _Bench, name: str, answered: Answered, reference: tuple[np.ndarray, np.ndarray]
) -> dict[str, float]:
    """Correct on the answers; return what it repairs, and what it costs.

    `repaired` is the share of the reference samples that the control leaves wrong and the correction reads
    right, less those that the control reads right and it does not. A contestant that adds items is the
    control of its own correction, and is compared with that of the default.
    """
    regions, labels, extended = answered
    predicted = regions.predicted_classes
    if all(label == predicted[region] for region, label in labels.items()):
        # No answer confirms a bug, so there is nothing to correct.
        return {"repaired": 0.0, "clean_change": 0.0}
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree((extended or bench.materials).folder, folder)
    write_regions(folder / "regions.npz", regions)
    inputs = {**bench.materials.inputs, "regions": {"file": "inputs/regions.npz"}}
    config: dict[str, Any] = {
        "labels": [{"region": region, "label": label} for region, label in sorted(labels.items())],
        "tau": regions.tau,
        "audit": bench.audit.result["config"],
        "audit_seed": 0,
    }
    output = run_job(folder / "correct", folder, "correct", inputs, config, 0, bench.device).folder / "output"
    corrected = output / ("corrected.onnx" if extended is None else "control.onnx")
    control = output / "control.onnx"
    if extended is not None:
        control = next(WORK.glob("default-*/correct/output/control.onnx"), control)
    shutil.copy(corrected, folder / "candidate.onnx")
    right = _right(corrected, bench, reference)
    of_control = _right(control, bench, reference)
    data = bench.materials.data
    test = (as_input(data.test_images), data.test_labels)
    clean = {
        file: _right(path, bench, test)
        for file, path in (
            ("corrected", corrected),
            ("control", control),
            ("before", bench.materials.folder / "classifier.onnx"),
        )
    }
    return {
        "reference_accuracy": right,
        "reference_accuracy_of_control": of_control,
        "repaired": (right - of_control) / max(1e-9, 1.0 - of_control),
        "clean_change": clean["corrected"] - clean["before"],
        "clean_change_minus_control": clean["corrected"] - clean["control"],
        "control_clean_change": clean["control"] - clean["before"],
        "second_search_ratio": _second_search(bench, folder, inputs, corrected, 0)
        / _second_search(bench, folder, inputs, control, 1),
    }


def _right(path: Path, bench: _Bench, samples: tuple[np.ndarray, np.ndarray]) -> float:
    return float((Model(path, bench.threads).predict(samples[0]) == samples[1]).mean())


def _second_search(bench: _Bench, folder: Path, inputs: dict[str, Any], model: Path, least: int) -> float:
    """Return misclassifications, at least `least`, per candidate of a search with other seeds."""
    shutil.copy(model, folder / "candidate.onnx")
    entries = {**inputs, "candidate": {"file": "inputs/candidate.onnx"}}
    config: dict[str, Any] = {"labels": [], "audit_seed": 0}
    second = run_job(folder / "evaluate", folder, "evaluate", entries, config, 0, bench.device).result[
        "second_search"
    ]
    return max(least, second["misclassifications_after"]) / max(1, second["candidates_after"])

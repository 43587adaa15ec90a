"""Measures what the default finds and repairs, beside the published method and two well-known searches.

All searches get the same models and the same number of candidates. An oracle that no search sees labels their
regions, one label per region. Environment: DATASET (digits, mnist, fashion or gtsrb; default digits), KIND
(default both), SEEDS (number of random seeds, default 3), COVERAGE_TIMES (default 10; 0 leaves coverage out),
MODELS_DIR, VAE_BUDGET_S, THREADS.

The searches audit a classifier that is trained to its end (KIND `converged`), or not to its end (`audited`).
With `both` the table is of the first, and `undertrained` is the default's search of the second. The other
searches' regions are corrected for the first random seed only.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import _other_searches
from bench._classifiers import Kind, kinds
from bench._data import as_input
from bench._engine import Run, run_job
from bench._materials import Materials, prepare
from bench._scores import Cell, Confusion, Model, RegionScores, calibration_error, interval, score_regions
from defuse_engine.regions.regions_file import read_regions, write_regions
from defuse_engine.types import Regions

METHODS = ("default", "paper", *_other_searches.NAMES)
FIGURES = (
    "really_wrong",
    "confirmed",
    "confirmed_first_ten",
    "purity",
    "region_misclassified",
    "coverage",
    "coverage_reproduced",
    "region_accuracy_after",
    "region_accuracy_of_control",
    "repaired_beyond_control",
    "clean_change",
    "clean_change_minus_control",
    "control_clean_change",
    "second_search_ratio",
    "calibration_error",
    "bugs",
    "regions",
    "candidates",
    "bugs_per_s",
    "bugs_per_s_with_preparation",
)
WORK = Path(__file__).parent.parent / "out" / "bench" / "quality" / (os.environ.get("DATASET") or "digits")


@dataclass(frozen=True)
class _Scorer:
    """The oracle, the models that it scores, and the scores."""

    materials: Materials
    threads: int

    def __post_init__(self) -> None:
        for name in ("classifier", "vae_decoder", "oracle"):
            object.__setattr__(self, name, Model(self.materials.folder / f"{name}.onnx", self.threads))

    def regions(self, regions: Regions, seed: int) -> RegionScores:
        """Score the regions of one search."""
        models: Any = self
        return score_regions(regions, models.vae_decoder, models.classifier, models.oracle, seed)

    def really_wrong(self, images: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        """Tell where the oracle disagrees with the classifier (n,)."""
        models: Any = self
        return models.oracle.predict(images) != predictions

    def on_real_errors(self) -> float:
        """Return the share of the classifier's errors on test items that the oracle counts as really wrong.

        Those errors are bugs for certain. Their share shows how many true bugs the oracle recognises.
        """
        models: Any = self
        data = self.materials.data
        images = as_input(data.test_images)
        predicted = models.classifier.predict(images)
        errors = predicted != data.test_labels
        return float(self.really_wrong(images[errors], predicted[errors]).mean()) if errors.any() else 1.0

    def test_accuracy(self) -> float:
        """Return the classifier's accuracy on the test split."""
        models: Any = self
        data = self.materials.data
        return float((models.classifier.predict(as_input(data.test_images)) == data.test_labels).mean())

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Decode codes to images."""
        models: Any = self
        return models.vae_decoder(codes)


@dataclass(frozen=True)
class _Searched:
    """One search by one method, scored."""

    figures: dict[str, float]
    scores: RegionScores
    regions: Regions
    audit: dict[str, Any]
    """The audit's config; the default one if the engine did not search."""


def run(device: str) -> dict[str, object]:
    """Run everything, and print one line per search and the table."""
    name = os.environ.get("DATASET") or "digits"
    seeds = int(os.environ.get("SEEDS") or 3)
    times = int(os.environ.get("COVERAGE_TIMES") or 10)
    threads = int(os.environ.get("THREADS") or len(os.sched_getaffinity(0)))
    main, *others = kinds()
    materials = prepare(name, device, main)
    if materials is None:
        return {"skipped": f"{name} is not on this machine", "dataset": name}
    scorer = _Scorer(materials, threads)
    rows: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    searched: dict[str, list[_Searched]] = {method: [] for method in METHODS}
    for method in METHODS:
        for seed in range(seeds):
            candidates = int(rows["default"][seed]["candidates"]) if method != "default" else 0
            one, figures = _measured(method, materials, scorer, candidates, seed, device, threads)
            searched[method].append(one)
            rows[method].append(figures)
    cap = scorer.on_real_errors()
    print(
        f"the oracle counts {cap:.3f} of the classifier's errors on the test split as really wrong",
        flush=True,
    )
    if times:
        _cover(materials, scorer, searched, rows, times, device, threads)
    for kind in others:
        rows["undertrained"] = _of_undertrained(name, kind, seeds, device, threads)
    table = {method: _table_row(some) for method, some in rows.items()}
    _print_table(table)
    control = table["default"].get("control_clean_change")
    if control is not None:
        print(f"control's clean change: {control.value:+.4f}", flush=True)
    return {
        "dataset": name,
        "classifier": main,
        "test_accuracy": scorer.test_accuracy(),
        "control_clean_change": None if control is None else control.value,
        "seeds": seeds,
        "coverage_times": times,
        **{method: {figure: cell.value for figure, cell in row.items()} for method, row in table.items()},
        "intervals": {
            method: {figure: asdict(cell) for figure, cell in row.items()} for method, row in table.items()
        },
        "really_wrong_of_real_errors": cap,
        "bugs_per_s_ratio": _ratio(table, "bugs_per_s"),
        "bugs_per_s_with_preparation_ratio": _ratio(table, "bugs_per_s_with_preparation"),
    }


def _of_undertrained(name: str, kind: Kind, seeds: int, device: str, threads: int) -> list[dict[str, float]]:
    """Let the default search and repair the classifier that was not trained to its end."""
    materials = prepare(name, device, kind)
    assert materials is not None, "the data was there a moment ago"
    scorer = _Scorer(materials, threads)
    print(f"undertrained: {scorer.test_accuracy():.4f} of the test split", flush=True)
    return [_measured("default", materials, scorer, 0, seed, device, threads)[1] for seed in range(seeds)]


def _measured(
    method: str,
    materials: Materials,
    scorer: _Scorer,
    candidates: int,
    seed: int,
    device: str,
    threads: int,
) -> tuple[_Searched, dict[str, float]]:
    """Search, and correct if this method and seed are corrected. Return the search and all figures."""
    one = _search(method, materials, scorer, candidates, seed, device, threads)
    figures = dict(one.figures)
    print(f"seed {seed} {method}: {_shown(figures)}", flush=True)
    if (method == "default" or seed == 0) and len(one.scores.labels):
        repaired = _repair(method, materials, one, seed, device)
        print(f"seed {seed} {method} corrected: {_shown(repaired)}", flush=True)
        figures.update(repaired)
    return one, figures


def _search(
    method: str,
    materials: Materials,
    scorer: _Scorer,
    candidates: int,
    seed: int,
    device: str,
    threads: int,
) -> _Searched:
    if method in _other_searches.NAMES:
        found = _other_searches.search(method, materials, candidates, seed, threads)
        wrong = scorer.really_wrong(found.images, found.predictions)
        return _scored(scorer, found.regions, wrong, found.candidates, found.work_s, found.work_s, seed, {})
    config: dict[str, Any] = {} if method == "default" else _paper(materials, candidates)
    audit = run_job(
        _work(materials) / f"{method}-{seed}",
        materials.folder,
        "audit",
        materials.inputs,
        config,
        seed,
        device,
    )
    return _from_audit(scorer, audit, seed)


def _paper(materials: Materials, candidates: int) -> dict[str, Any]:
    """Spend the candidates on fewer seeds with the published 100 each; if seeds run out, on more for each."""
    items = len(materials.data.train_labels)
    seeds = min(items, max(1, candidates // 100))
    return {"preset": "paper", "max_seeds": seeds, "candidates_per_seed": max(1, candidates // seeds)}


def _from_audit(scorer: _Scorer, audit: Run, seed: int) -> _Searched:
    chunks = [np.load(path) for path in sorted((audit.folder / "output" / "chunks").glob("*.npz"))]
    codes, predictions, probability = (
        np.concatenate([chunk[key] for chunk in chunks])
        for key in ("codes", "predicted_class", "bug_probability")
    )
    regions = read_regions(audit.folder / "output" / "regions.npz")
    wrong = scorer.really_wrong(scorer.decode(codes), predictions) if len(codes) else np.zeros(0, bool)
    candidates, config = audit.result["candidates"], audit.result["config"]
    searched = _scored(scorer, regions, wrong, candidates, audit.work_s, audit.whole_s, seed, config)
    if audit.result["calibration"] is not None and len(wrong):
        searched.figures["calibration_error"] = calibration_error(probability, wrong)
    return searched


def _scored(
    scorer: _Scorer,
    regions: Regions,
    wrong: np.ndarray,
    candidates: int,
    work_s: float,
    whole_s: float,
    seed: int,
    config: dict[str, Any],
) -> _Searched:
    scores = scorer.regions(regions, seed)
    figures: dict[str, float] = {
        "candidates": candidates,
        "regions": len(scores.labels),
        "bugs": scores.bugs,
        "bugs_per_s": scores.bugs / work_s,
        "bugs_per_s_with_preparation": scores.bugs / whole_s,
    }
    if len(wrong):
        figures["really_wrong"] = float(wrong.mean())
    if len(scores.labels):
        figures["confirmed"] = float(scores.confirmed.mean())
        figures["confirmed_first_ten"] = float(scores.confirmed[:10].mean())
        figures["purity"] = float(scores.purity.mean())
        figures["region_misclassified"] = float(scores.misclassified.mean())
    return _Searched(figures, scores, regions, config)


def _repair(
    method: str, materials: Materials, searched: _Searched, seed: int, device: str
) -> dict[str, float]:
    """Label every region, correct and evaluate. Every method gets the default's second search."""
    folder = _work(materials) / f"{method}-{seed}-repair"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in materials.folder.iterdir():
        (folder / file.name).symlink_to(file.resolve())
    write_regions(folder / "regions.npz", searched.regions)
    labels = [{"region": number, "label": int(label)} for number, label in enumerate(searched.scores.labels)]
    inputs = {**materials.inputs, "regions": {"file": "inputs/regions.npz"}}
    preset = "paper" if method == "paper" else "default"
    config: dict[str, Any] = {
        "labels": labels,
        "preset": preset,
        "tau": searched.regions.tau,
        "audit": searched.audit,
        "audit_seed": seed,
    }
    try:
        corrected = run_job(folder / "correct", folder, "correct", inputs, config, seed, device)
    except RuntimeError as error:
        print(f"the correction failed: {error}", flush=True)
        return {}
    evaluated: dict[str, dict[str, Any]] = {}
    for file in ("corrected", "control"):
        shutil.copy(corrected.folder / "output" / f"{file}.onnx", folder / f"{file}.onnx")
        evaluated[file] = _evaluated(folder, file, inputs, labels, seed, device)
    changes = {
        file: one["test_accuracy_after"] - one["test_accuracy_before"] for file, one in evaluated.items()
    }
    right = {
        file: float(np.mean([region["accuracy_after"] for region in one["regions"]]))
        for file, one in evaluated.items()
    }
    return {
        "region_accuracy_after": right["corrected"],
        "region_accuracy_of_control": right["control"],
        "repaired_beyond_control": (right["corrected"] - right["control"])
        / max(1e-9, 1.0 - right["control"]),
        "clean_change": changes["corrected"],
        "clean_change_minus_control": changes["corrected"] - changes["control"],
        "control_clean_change": changes["control"],
        "second_search_ratio": _second_search_ratio(evaluated["corrected"]["second_search"]),
    }


def _work(materials: Materials) -> Path:
    """Return the folder of the jobs that audit this classifier."""
    return WORK / materials.folder.name


def _second_search_ratio(second: dict[str, int]) -> float:
    """Return misclassifications per candidate, after over before. None before counts as one."""
    after = second["misclassifications_after"] / max(1, second["candidates_after"])
    return after / (max(1, second["misclassifications_before"]) / max(1, second["candidates_before"]))


def _evaluated(
    folder: Path, file: str, inputs: dict[str, Any], labels: list[dict[str, int]], seed: int, device: str
) -> dict[str, Any]:
    """Evaluate the correction or the control. The control's second search is minimal: nothing reads it."""
    entries = {**inputs, "candidate": {"file": f"inputs/{file}.onnx"}}
    config: dict[str, Any] = {"labels": labels, "audit_seed": seed}
    if file == "control":
        config["audit"] = {"max_seeds": 2, "methods": ["neighbourhood"]}
    return run_job(folder / f"evaluate-{file}", folder, "evaluate", entries, config, seed, device).result


def _cover(
    materials: Materials,
    scorer: _Scorer,
    searched: dict[str, list[_Searched]],
    rows: dict[str, list[dict[str, float]]],
    times: int,
    device: str,
    threads: int,
) -> None:
    """Add coverage to `rows`: a search's confusions over those of all searches with `times` the budget.

    It is counted twice: over all confirmed regions, and over those whose fresh samples reproduce the mistake.
    """
    candidates = times * int(rows["default"][0]["candidates"])
    wide: list[RegionScores] = []
    for method in METHODS:
        if method in _other_searches.NAMES:
            found = _other_searches.search(method, materials, candidates, 1000, threads)
            scores = scorer.regions(found.regions, 1000)
        else:
            config = _paper(materials, candidates) if method == "paper" else _wide(materials, candidates)
            audit = run_job(
                _work(materials) / f"{method}-wide",
                materials.folder,
                "audit",
                materials.inputs,
                config,
                1000,
                device,
            )
            scores = _from_audit(scorer, audit, 1000).scores
        print(
            f"{method} at {times} times the budget: {len(scores.confusions)} confusions, "
            f"{len(scores.reproduced_confusions)} reproduced",
            flush=True,
        )
        wide.append(scores)
    everything = [*wide, *(one.scores for some in searched.values() for one in some)]
    confirmed = frozenset[Confusion]().union(*(scores.confusions for scores in everything))
    reproduced = frozenset[Confusion]().union(*(scores.reproduced_confusions for scores in everything))
    for method in METHODS:
        for row, one in zip(rows[method], searched[method], strict=True):
            row["coverage"] = len(one.scores.confusions) / max(1, len(confirmed))
            row["coverage_reproduced"] = len(one.scores.reproduced_confusions) / max(1, len(reproduced))


def _wide(materials: Materials, candidates: int) -> dict[str, Any]:
    items = len(materials.data.train_labels)
    return {"max_seeds": 0, "candidates_per_seed": max(1, candidates // items), "patience_shards": -1}


def _table_row(rows: list[dict[str, float]]) -> dict[str, Cell]:
    return {
        figure: interval([row[figure] for row in rows if figure in row])
        for figure in FIGURES
        if any(figure in row for row in rows)
    }


def _print_table(table: dict[str, dict[str, Cell]]) -> None:
    print(f"{'':28}" + "".join(f"{method:>26}" for method in table), flush=True)
    for figure in FIGURES:
        cells = [row.get(figure) for row in table.values()]
        print(
            f"{figure:28}"
            + "".join(f"{'-':>26}" if cell is None else _cell(cell).rjust(26) for cell in cells),
            flush=True,
        )


def _cell(cell: Cell) -> str:
    interval = "one seed" if cell.lower is None else f"{cell.lower:.4g}, {cell.upper:.4g}"
    return f"{cell.value:.4g} [{interval}]"


def _ratio(table: dict[str, dict[str, Cell]], figure: str) -> float | None:
    paper = table["paper"].get(figure)
    return table["default"][figure].value / paper.value if paper and paper.value else None


def _shown(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())

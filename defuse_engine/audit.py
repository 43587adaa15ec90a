"""An audit from its inputs to its result: preflight, neighbourhood, identify, distill."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.dataset_checks.same_images import image_digests, warn_of_contradictions
from defuse_engine.inputs.dataset import Dataset
from defuse_engine.inputs.loaded import LoadedInputs
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.lines import Lines
from defuse_engine.job_folder.output_files import chunk_path, read_chunk, write_chunk
from defuse_engine.preflight.preflight import run_preflight
from defuse_engine.readers.independent_readers import HELD_OUT, IndependentReaders
from defuse_engine.readers.readers_file import write_readers
from defuse_engine.regions.distill import distill
from defuse_engine.regions.gold_sheets import write_gold_sheets
from defuse_engine.regions.recipe import AuditRecipe
from defuse_engine.run import independent_readers, open_run
from defuse_engine.search.identify import Search
from defuse_engine.search.open_search import open_search
from defuse_engine.search.readers import GUIDE, READERS, Readers
from defuse_engine.search.saturation import Saturation
from defuse_engine.search.seeds import Seeds, first_search_seeds
from defuse_engine.types import Chunk, Labels, concatenate

_SEEDS_LOOKED_AT = 100
"""Seeds of each class that are classified before the search, to know whether it can start from any."""
_MOST_LISTED = 10

StopReason = Literal["seeds_exhausted", "saturated", "candidate_budget", "time_budget"]


def audit(
    job: Job, config: AuditConfig, recipe: AuditRecipe, inputs: LoadedInputs, lines: Lines
) -> dict[str, Any]:
    """Do an audit; returns the object of `result.json`.

    Shards whose chunks are there already are not searched again.
    """
    independent = independent_readers(job, inputs, lines, "preflight")
    figures = run_preflight(inputs, independent, job.random_seed, lines, lines.preflight).to_json()
    warn_of_contradictions(inputs.dataset, image_digests(inputs.dataset), lines)
    run = open_run(job, inputs, lines, independent)
    seeds = first_search_seeds(run, config, job.random_seed)
    belief_model = recipe.search.open_belief_model(run, config)
    search = open_search(run, config, recipe.search, belief_model)
    _warn_of_classes_without_seeds(search, seeds, inputs.dataset, lines)
    saturation = Saturation(run.latent_spread)
    chunks, stop_reason = _search(search, seeds, saturation, job.output, lines)
    _warn_of_what_is_not_finite(chunks, lines)
    found = concatenate([chunk.misclassifications for chunk in chunks])
    distilled = distill(run, config, recipe, belief_model, found)
    calibration = belief_model.calibration
    return {
        "device": run.device,
        "preflight": figures,
        "config": config.to_json(),
        "seed": job.random_seed,
        "seeds": sum(chunk.seeds for chunk in chunks),
        "candidates": sum(chunk.candidates for chunk in chunks),
        "misclassifications": len(found),
        "shards": len(chunks),
        "stop_reason": stop_reason,
        "saturation": [point.to_json() for point in saturation.curve],
        "calibration": None if calibration is None else calibration.to_json(),
        "regions": distilled.regions,
        "bugs": distilled.bugs,
        "gold": write_gold_sheets(run, config),
        "readers": _keep_readers(job, config, belief_model.readers, independent),
        "warnings": lines.warnings,
    }


def _keep_readers(
    job: Job, config: AuditConfig, readers: Readers | None, independent: IndependentReaders
) -> str | None:
    """Write what was trained, for the jobs that go on from this audit."""
    if readers is None:
        return None
    groups = {READERS: readers.networks, HELD_OUT: independent.networks}
    if "gradient" in config.methods:
        groups[GUIDE] = (readers.guide,)
    file = job.output / "readers.npz"
    write_readers(file, groups)
    return file.relative_to(job.folder).as_posix()


def _warn_of_classes_without_seeds(search: Search, seeds: Seeds, dataset: Dataset, lines: Lines) -> None:
    """Warn of classes without items, and of classes whose items the search cannot start from."""
    counts = np.bincount(seeds.labels, minlength=dataset.class_count)
    order = np.argsort(seeds.labels, kind="stable")
    some = np.concatenate([rows[:_SEEDS_LOOKED_AT] for rows in np.split(order, np.cumsum(counts)[:-1])])
    read = np.bincount(seeds.labels[some][search.starts_from(seeds[some])], minlength=len(counts))

    def warn(labels: Labels, why: str, advice: str) -> None:
        if len(labels):
            listed = _listed(labels, dataset.class_names)
            lines.warning(
                "CLASS_WITHOUT_SEEDS",
                f"{len(labels)} of {len(counts)} classes {why} ({listed}). The search finds no mistakes on "
                f"them: {advice}",
            )

    warn(np.flatnonzero(counts == 0), "have no seed in the train split", "add train items of them")
    warn(
        np.flatnonzero((counts > 0) & (read == 0)),
        f"have no seed, of at most {_SEEDS_LOOKED_AT} looked at, that is classified as labeled when the VAE "
        "draws it",
        "check whether the classifier ever gives that answer, and whether the VAE can draw such items "
        "(defuse vae train)",
    )


def _listed(labels: Labels, names: tuple[str, ...]) -> str:
    listed = ", ".join(names[label] if names else str(label) for label in labels[:_MOST_LISTED])
    return listed + (", ..." if len(labels) > _MOST_LISTED else "")


def _warn_of_what_is_not_finite(chunks: list[Chunk], lines: Lines) -> None:
    not_finite = sum(chunk.not_finite for chunk in chunks)
    if not_finite:
        lines.warning(
            "CANDIDATES_NOT_FINITE",
            f"for {not_finite} of {sum(chunk.candidates for chunk in chunks)} candidates the VAE's decoder "
            "or the classifier answered NaN or infinite values. They were left out. Inputs like them may "
            "reach the classifier in production: find out which operation overflows there",
        )


def _search(
    search: Search, seeds: Seeds, saturation: Saturation, output: Path, lines: Lines
) -> tuple[list[Chunk], StopReason]:
    chunks: list[Chunk] = []
    config = search.config
    started_s = time.monotonic()
    shards = range(search.shard_count(seeds))
    with closing(_chunks(search, seeds, shards, output, lines)) as found:
        for chunk in found:
            chunks.append(chunk)
            saturation.add(chunk)
            if len(chunks) == len(shards):
                break
            if saturation.over(config.patience_shards):
                return chunks, "saturated"
            if 0 < config.max_candidates <= saturation.curve[-1].candidates:
                return chunks, "candidate_budget"
            if 0 < config.budget_s <= time.monotonic() - started_s:
                return chunks, "time_budget"
    return chunks, "seeds_exhausted"


def _chunks(
    search: Search, seeds: Seeds, shards: range, output: Path, lines: Lines
) -> Generator[Chunk, None, None]:
    """Give the chunks of shards, in their order: a chunk that is there is read, others are searched."""
    size = search.config.shard_seeds
    there = {shard for shard in shards if chunk_path(output, shard).exists()}
    missing = [shard for shard in shards if shard not in there]
    known = sum(len(seeds[shard * size : (shard + 1) * size]) for shard in there)
    lines.progress("identify", known, len(seeds), "seeds")
    searched = search.try_shards(
        seeds, missing, lambda done: lines.progress("identify", known + done, len(seeds), "seeds")
    )
    with closing(searched):
        for shard in shards:
            path = chunk_path(output, shard)
            if shard in there:
                yield read_chunk(path)
                continue
            chunk = next(searched).chunk()
            write_chunk(path, chunk)
            name = path.relative_to(output.parent).as_posix()
            lines.chunk(shard, name, len(chunk.misclassifications), chunk.candidates, chunk.seeds)
            yield chunk

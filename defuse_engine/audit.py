"""An audit from its inputs to its result: preflight, neighbourhood, identify, distill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from defuse_engine.configs import AuditConfig
from defuse_engine.inputs import preflight
from defuse_engine.inputs.resources import Resources
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.lines import Lines
from defuse_engine.job_folder.output_files import chunk_path, read_chunk, write_chunk
from defuse_engine.regions import distill
from defuse_engine.search.identify import Search, Seeds, choose_seeds, concatenate
from defuse_engine.search.neighbourhood import Neighbourhood, encode_split
from defuse_engine.seeding import numpy_generator
from defuse_engine.types import TRAIN, Chunk, Codes


def run(job: Job, config: AuditConfig, resources: Resources, lines: Lines) -> dict[str, Any]:
    """Do an audit; returns the object of `result.json`.

    Shards whose chunks are there already are not searched again.
    """
    figures = preflight.run(resources, job.seed, lines).to_json()
    lines.preflight(figures)
    codes = encode_split(resources.encoder, resources.dataset.train, lines)
    seeds = first_search_seeds(resources, codes, config, job.seed)
    search = Search(
        classifier=resources.classifier,
        decoder=resources.decoder,
        neighbourhood=open_neighbourhood(resources, codes, config),
        config=config,
        job_seed=job.seed,
    )
    chunks = _search(search, seeds, job.output, lines)
    found = concatenate([chunk.misclassifications for chunk in chunks])
    regions = distill.run(
        misclassifications=found,
        classifier=resources.classifier,
        decoder=resources.decoder,
        dataset=resources.dataset,
        train_codes=codes,
        config=config,
        seed=job.seed,
        folder=job.folder,
        reporter=lines,
    )
    return {
        "device": resources.runtime.device,
        "preflight": figures,
        "config": config.to_json(),
        "seed": job.seed,
        "seeds": sum(chunk.seeds for chunk in chunks),
        "candidates": sum(chunk.candidates for chunk in chunks),
        "misclassifications": len(found),
        "shards": len(chunks),
        "regions": regions,
        "warnings": lines.warnings,
    }


def first_search_seeds(resources: Resources, codes: Codes, config: AuditConfig, job_seed: int) -> Seeds:
    """Return the seeds of an audit: the same for the same config and seed."""
    rng = numpy_generator(job_seed, "seeds")
    return choose_seeds(resources.dataset.train, TRAIN, codes, config.max_seeds, rng)


def open_neighbourhood(resources: Resources, codes: Codes, config: AuditConfig) -> Neighbourhood | None:
    """Return the neighbourhood of a search; None where the config looks at none."""
    if config.neighbours == 0:
        return None
    labels = resources.dataset.train.labels
    return Neighbourhood(codes, labels, config.neighbours, resources.runtime.device)


def _search(search: Search, seeds: Seeds, output: Path, lines: Lines) -> list[Chunk]:
    chunks: list[Chunk] = []
    shards = search.shard_count(seeds)
    lines.progress("identify", 0, len(seeds), "seeds")
    for shard in range(shards):
        path = chunk_path(output, shard)
        if path.exists():
            chunks.append(read_chunk(path))
        else:
            before = shard * search.config.shard_seeds
            chunk = search.run_shard(
                seeds, shard, lambda done, b=before: lines.progress("identify", b + done, len(seeds), "seeds")
            )
            write_chunk(path, chunk)
            chunks.append(chunk)
            name = path.relative_to(output.parent).as_posix()
            lines.chunk(shard, name, len(chunk.misclassifications), chunk.candidates)
        done = min((shard + 1) * search.config.shard_seeds, len(seeds))
        lines.progress("identify", done, len(seeds), "seeds")
    return chunks

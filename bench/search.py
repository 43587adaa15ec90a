"""Measures how much of onnxruntime's speed the search keeps.

The search with random steps runs against two bare loops. They only decode and classify the same number of
codes, with the same models, batch size and threads: one with onnxruntime's default options, one with the
search's. All three take turns in one process. The figures are medians. `ratio` is the search's rate over the
faster loop's.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnxruntime as ort

from bench import _models
from defuse_engine.configs import AuditConfig
from defuse_engine.errors import DeviceUnavailable
from defuse_engine.models.device import CUDA_PROVIDER, Runtime, open_runtime
from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.search.belief import BelieveEverything
from defuse_engine.search.classify_codes import classify_codes
from defuse_engine.search.identify import Search
from defuse_engine.search.methods.random_steps import neighbourhood_noise
from defuse_engine.search.recipe import DEFAULT, PAPER
from defuse_engine.search.seeds import Seeds
from defuse_engine.types import Preprocessing

ROUNDS = 7
SEEDS = {False: 500, True: 10_000}
"""Seeds of a round, without and with a GPU: a round takes about a second."""
TRAIN_CODES = 50_000


def run(device: str) -> dict[str, object]:
    """Measure, and print a table of candidates per second."""
    try:
        runtime = open_runtime(device, len(os.sched_getaffinity(0)), 256)
    except DeviceUnavailable as error:
        return {"skipped": error.message}
    if runtime.is_cuda:
        runtime = replace(runtime, batch_size=8192)
    search, seeds = _search(runtime)
    candidates = len(seeds) * search.config.candidates_per_seed
    contestants: dict[str, Callable[[], int]] = {
        "search": lambda: search.try_shard(seeds, 0).chunk().candidates,
        "bare loop, default options": _bare_loop(runtime, candidates, {}),
        "bare loop, the search's options": _bare_loop(
            runtime, candidates, {"session.intra_op.allow_spinning": "0"}
        ),
    }
    rates = _alternate(contestants)
    for name, rate in rates.items():
        print(f"{name:34} {rate:12,.0f} candidates/s")
    own, *bare = rates.values()
    return {
        "device": runtime.device,
        "threads": runtime.threads,
        "batch_size": runtime.batch_size,
        "candidates_per_round": candidates,
        "rounds": ROUNDS,
        "candidates_per_s": round(own, 1),
        "bare_default_per_s": round(bare[0], 1),
        "bare_tuned_per_s": round(bare[1], 1),
        "ratio": round(own / max(bare), 4),
    }


def _search(runtime: Runtime) -> tuple[Search, Seeds]:
    config = AuditConfig(batch_size=runtime.batch_size, shard_seeds=SEEDS[runtime.is_cuda])
    classifier = Classifier(_models.classifier(), Preprocessing(), "logits", runtime)
    decoder = Decoder(_models.decoder(), Preprocessing(), _models.IMAGE_SHAPE, runtime)
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((TRAIN_CODES, _models.LATENT_SIZE), np.float32)
    # The labels are the classifier's predictions: every seed then takes part, as most do in an audit.
    labels, _ = classify_codes(decoder, classifier, codes)
    seeds = Seeds(
        codes[: config.shard_seeds],
        np.arange(config.shard_seeds),
        np.zeros(config.shard_seeds, np.uint8),
        labels[: config.shard_seeds],
    )
    # No belief model: it rates misclassifications, and a bare loop has none.
    scale = config.noise_scale * codes.std(axis=0)
    methods = (neighbourhood_noise(config.candidates_per_seed, scale),)
    recipe = replace(DEFAULT, rank=PAPER.rank, grows=False)
    return Search(
        classifier, decoder, methods, BelieveEverything(), recipe, scale, config, random_seed=0
    ), seeds


def _bare_loop(runtime: Runtime, candidates: int, entries: dict[str, str]) -> Callable[[], int]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = runtime.threads
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    providers = [CUDA_PROVIDER] if runtime.is_cuda else ["CPUExecutionProvider"]
    decoder, classifier = (
        ort.InferenceSession(model, options, providers=providers)
        for model in (_models.decoder(), _models.classifier())
    )
    codes = np.random.default_rng(1).standard_normal((candidates, _models.LATENT_SIZE), np.float32)

    def loop() -> int:
        for start in range(0, candidates, runtime.batch_size):
            (images,) = decoder.run(None, {"input": codes[start : start + runtime.batch_size]})
            classifier.run(None, {"input": images})
        return candidates

    return loop


def _alternate(contestants: dict[str, Callable[[], int]]) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS + 1):
        for name, contestant in contestants.items():
            started_s = time.perf_counter()
            done = contestant()
            rates[name].append(done / (time.perf_counter() - started_s))
    # The first round warms up.
    return {name: statistics.median(values[1:]) for name, values in rates.items()}

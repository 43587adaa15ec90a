"""Measures what is readable of the VAEs that the engine trains, to an oracle that took no part in anything.

Readability is the share of what a reader reads right on the originals that it still reads right on the
reconstructions. `flattery` is the share of what the oracle reads right on the originals that the classifier
reads right on the reconstructions, and the oracle does not.

Each dataset gets a `train_vae` job with its defaults, run as a program. The job chooses its settings on the
validation split. The figures here come from the test split, which nothing else sees; the oracle learned from
the validation split, too. Environment: DATASET picks one dataset (digits, mnist, fashion, gtsrb), BUDGET_S
replaces the default time of 480 s, and THREADS replaces the number of all cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from bench import _data
from bench._classifiers import train_classifier
from bench._data import Data, as_input

SEED = 0
_BATCH = 500


def run(device: str) -> dict[str, object]:
    """Train on each dataset of this machine. Return each readability by name, and the `seconds` of each."""
    names = (os.environ["DATASET"],) if os.environ.get("DATASET") else _data.NAMES
    figures: dict[str, object] = {}
    seconds: dict[str, float] = {}
    details: dict[str, object] = {}
    for name in names:
        data = _data.load(name)
        if data is None:
            continue
        classifier, oracle = (train_classifier(data, SEED, kind) for kind in ("converged", "oracle"))
        with tempfile.TemporaryDirectory() as folder:
            started_s = time.monotonic()
            result = _trained(data, classifier, Path(folder), device)
            seconds[name] = round(time.monotonic() - started_s, 1)
            measured = _measured(data, classifier, oracle, Path(folder), result)
        figures[name] = measured.pop("readability")
        details[name] = {**measured, "latent_size": result["latent_size"], "points": result["points"]}
        print(
            f"{name}: readability {figures[name]:.4f} to the oracle on test, {measured}, "
            f"{seconds[name]:.0f} s",
            flush=True,
        )
    if not figures:
        return {"skipped": "none of the datasets is on this machine"}
    return {**figures, "seconds": seconds, "details": details}


def _trained(data: Data, classifier: bytes, folder: Path, device: str) -> dict[str, Any]:
    (folder / "inputs").mkdir()
    (folder / "inputs" / "classifier.onnx").write_bytes(classifier)
    _data.write_dataset(data, folder / "inputs" / "dataset.npz")
    budget_s = os.environ.get("BUDGET_S")
    job = {
        "kind": "train_vae",
        "seed": SEED,
        "device": device,
        "threads": int(os.environ.get("THREADS") or 0),
        "inputs": {
            "classifier": {"file": "inputs/classifier.onnx"},
            "dataset": {"file": "inputs/dataset.npz", "class_names": list(data.class_names)},
        },
        "config": {"budget_s": float(budget_s)} if budget_s else {},
    }
    (folder / "job.json").write_text(json.dumps(job))
    lines = subprocess.run(
        [sys.executable, "-m", "defuse_engine", str(folder)], stdout=subprocess.PIPE, text=True, check=False
    ).stdout.splitlines()
    last = json.loads(lines[-1])
    if last["event"] != "result":
        raise RuntimeError(f"expected the training of {data.name} to end with a result; it ended with {last}")
    result: dict[str, Any] = json.loads((folder / "output" / "result.json").read_text())
    for point in result["points"]:
        print("  " + " ".join(f"{key} {_shown(value)}" for key, value in point.items()), flush=True)
    for warning in result["warnings"]:
        print(f"  {warning['reason']}: {warning['message']}", flush=True)
    return result


def _measured(
    data: Data, classifier: bytes, oracle: bytes, folder: Path, result: dict[str, Any]
) -> dict[str, Any]:
    images = as_input(data.test_images)
    codes = _outputs((folder / result["encoder"]).read_bytes(), images, "mu")
    decoded = _outputs((folder / result["decoder"]).read_bytes(), codes, "image")
    (classifier_before, classifier_after), (oracle_before, oracle_after) = (
        [
            _outputs(reader, values, "logits").argmax(axis=1) == data.test_labels
            for values in (images, decoded)
        ]
        for reader in (classifier, oracle)
    )
    return {
        "readability": float(oracle_after[oracle_before].mean()),
        "flattery": float((classifier_after & ~oracle_after)[oracle_before].mean()),
        "classifier_readability": float(classifier_after[classifier_before].mean()),
        "accuracy": float(classifier_before.mean()),
        "oracle_accuracy": float(oracle_before.mean()),
        "said": {
            name: result[name]
            for name in ("readability", "independent_readability", "classifier_readability", "flattery")
        },
        "reconstruction_mse": float(np.mean((decoded - images) ** 2, dtype=np.float64)),
        "code_std": float(codes.std(axis=0, dtype=np.float64).mean()),
    }


def _outputs(model: bytes, values: np.ndarray, output: str) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0].name
    parts = [
        np.asarray(session.run([output], {source: values[start : start + _BATCH]})[0])
        for start in range(0, len(values), _BATCH)
    ]
    return np.concatenate(parts)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

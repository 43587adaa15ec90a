"""The materials of a quality run: data, the classifier under audit, a VAE, and an oracle that only scores.

If MODELS_DIR is set, the models come from MODELS_DIR/<dataset>/ (classifier.onnx, vae_encoder.onnx,
vae_decoder.onnx, oracle.onnx). If any of them is not there, all are trained here and kept in out/bench/cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import _data
from bench._classifiers import CACHE, Kind, train_classifier
from bench._data import Data
from bench._engine import run_job

_NAMES = ("classifier.onnx", "vae_encoder.onnx", "vae_decoder.onnx", "oracle.onnx")
_VAE_BUDGET_S = 480.0


@dataclass(frozen=True)
class Materials:
    """A dataset and the files of its models."""

    data: Data
    folder: Path
    """Holds the four models and dataset.npz."""

    @property
    def inputs(self) -> dict[str, Any]:
        """The job file's inputs, for a job folder whose `inputs` links to `folder`."""
        return {
            "classifier": {"file": "inputs/classifier.onnx"},
            "vae": {"encoder": "inputs/vae_encoder.onnx", "decoder": "inputs/vae_decoder.onnx"},
            "dataset": {"file": "inputs/dataset.npz", "class_names": list(self.data.class_names)},
        }


def prepare(name: str, device: str, kind: Kind) -> Materials | None:
    """Load or train everything. Return None if the data is not on this machine.

    `kind` is that of the classifier under audit. Given models replace only those of `audited`; a VAE and an
    oracle that are given serve any classifier.
    """
    data = _data.load(name)
    if data is None:
        return None
    given = Path(os.environ["MODELS_DIR"]) / name if os.environ.get("MODELS_DIR") else None
    folder = CACHE / f"{name}-{'quality' if kind == 'audited' else kind}"
    folder.mkdir(parents=True, exist_ok=True)
    _data.write_dataset(data, folder / "dataset.npz")
    if given is not None and all((given / file).is_file() for file in _NAMES):
        for file in _NAMES:
            shutil.copy(given / file, folder / file)
        if kind != "audited":
            (folder / "classifier.onnx").write_bytes(train_classifier(data, 0, kind))
        return Materials(data, folder)
    (folder / "classifier.onnx").write_bytes(train_classifier(data, 0, kind))
    (folder / "oracle.onnx").write_bytes(train_classifier(data, 0, "oracle"))
    _vae(data, folder, device)
    return Materials(data, folder)


def _vae(data: Data, folder: Path, device: str) -> None:
    """Train a VAE with the engine's defaults, once for each classifier."""
    budget_s = float(os.environ.get("VAE_BUDGET_S") or _VAE_BUDGET_S)
    key = hashlib.sha256((folder / "classifier.onnx").read_bytes() + repr(budget_s).encode()).hexdigest()[:16]
    trained = CACHE / f"{data.name}-vae-{key}"
    if not (trained / "output" / "result.json").is_file():
        inputs = {
            "classifier": {"file": "inputs/classifier.onnx"},
            "dataset": {"file": "inputs/dataset.npz", "class_names": list(data.class_names)},
        }
        print(f"training a VAE on {data.name}: {budget_s:.0f} s", flush=True)
        run_job(trained, folder, "train_vae", inputs, {"budget_s": budget_s}, 0, device)
    result = json.loads((trained / "output" / "result.json").read_text())
    for half in ("encoder", "decoder"):
        shutil.copy(trained / result[half], folder / f"vae_{half}.onnx")

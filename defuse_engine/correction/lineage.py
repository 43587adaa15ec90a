"""What a corrected classifier's file says about its origin, in its own metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx

from defuse_engine.configs import RegionLabel

PREFIX = "defuse."


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, lower-case hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def label_set_digest(labels: Iterable[RegionLabel]) -> str:
    """SHA-256 of the canonical JSON list of [region, label], sorted by region, without spaces."""
    pairs = sorted([label.region, label.label] for label in labels)
    return hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()


def with_lineage(model_bytes: bytes, lineage: Mapping[str, str]) -> bytes:
    """Adds entries as `defuse.<key>` to the model's metadata; what an earlier correction said is replaced."""
    model = onnx.load_model_from_string(model_bytes)
    kept = {one.key: one.value for one in model.metadata_props if not one.key.startswith(PREFIX)}
    onnx.helper.set_model_props(model, {**kept, **{PREFIX + key: value for key, value in lineage.items()}})
    return model.SerializeToString()

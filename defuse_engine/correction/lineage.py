"""What a corrected classifier's file says about its origin, in its own metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx

from defuse_engine.configs import RegionLabel

PREFIX = "defuse."
_BLOCK_BYTES = 1 << 20


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def label_set_digest(labels: Iterable[RegionLabel]) -> str:
    """SHA-256 of the canonical JSON list of [region, label], sorted by region, without spaces."""
    pairs = sorted([label.region, label.label] for label in labels)
    return hashlib.sha256(json.dumps(pairs, separators=(",", ":")).encode()).hexdigest()


def with_lineage(model_bytes: bytes, lineage: Mapping[str, str]) -> bytes:
    """Adds entries as `defuse.<key>` to the model's metadata; what an earlier correction said is replaced."""
    model = onnx.load_model_from_string(model_bytes)
    others = [entry for entry in model.metadata_props if not entry.key.startswith(PREFIX)]
    kept = {entry.key: entry.value for entry in others}
    del model.metadata_props[:]
    for key, value in {**kept, **{PREFIX + key: value for key, value in lineage.items()}}.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()

"""The labels that a correction or an evaluation uses, frozen when it is created.

The frozen set is canonical JSON, stored as an artifact. Its SHA-256 is the record's `label_set_digest`, so a
job reads exactly what was frozen, or nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from defuse.v1.audit_service_pb2 import REGION_STATE_LABELED, Region

from defuse_server.labels.region_label import RegionLabel
from defuse_server.store.artifacts import ArtifactStore


def freeze(labels: Mapping[int, RegionLabel | Region]) -> tuple[str, list[tuple[int, int]]]:
    """Return the digest (SHA-256 in hexadecimal) and the pairs of region number and label, by number.

    Regions without a class label (unlabeled, mixed, invalid, set aside) are left out.
    """
    pairs = sorted(
        (number, region.label)
        for number, region in labels.items()
        if region.state == REGION_STATE_LABELED and region.label is not None
    )
    return hashlib.sha256(canonical_json(pairs)).hexdigest(), pairs


def canonical_json(pairs: list[tuple[int, int]]) -> bytes:
    """Return the bytes that are digested: `[[0,3],[2,7]]`, without spaces."""
    return json.dumps(pairs, separators=(",", ":")).encode()


async def keep(store: ArtifactStore, pairs: list[tuple[int, int]]) -> None:
    """Store a frozen set. Call this before you create the record that names its digest."""
    await store.put_bytes(canonical_json(pairs))


async def load(store: ArtifactStore, digest: str) -> list[tuple[int, int]]:
    """Return the frozen set with this digest. Raises `NotFound`, `DigestMismatch` if its bytes changed."""
    content = await store.read_whole(digest)
    return [(int(region), int(label)) for region, label in json.loads(content)]


async def labels_json(store: ArtifactStore, digest: str) -> list[dict[str, Any]]:
    """Return the frozen set for a job.json. Raises `NotFound`, `DigestMismatch`."""
    return [{"region": region, "label": label} for region, label in await load(store, digest)]

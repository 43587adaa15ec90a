"""The labels that a correction or an evaluation uses, frozen at its creation.

The frozen set is canonical JSON, and its SHA-256 is the record's `label_set_digest`. So it is kept as an
artifact: its content address *is* the digest, and a job reads back exactly what was frozen or nothing at all.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

from defuse.v1.audit_service_pb2 import REGION_STATE_LABELED

from defuse_server.store.artifacts import ArtifactStore


class LabelOfRegion(Protocol):
    """What the consensus says of one region; `label` counts only in the state LABELED."""

    @property
    def state(self) -> int: ...  # noqa: D102
    @property
    def label(self) -> int | None: ...  # noqa: D102


def freeze(labels: Mapping[int, LabelOfRegion]) -> tuple[str, list[tuple[int, int]]]:
    """Digest (lower-case hexadecimal SHA-256) and the pairs (region number, label), sorted by region.

    Regions without a class label (unlabeled, mixed, invalid, set aside) are left out.
    """
    pairs = sorted(
        (number, region.label)
        for number, region in labels.items()
        if region.state == REGION_STATE_LABELED and region.label is not None
    )
    return hashlib.sha256(canonical_json(pairs)).hexdigest(), pairs


def canonical_json(pairs: list[tuple[int, int]]) -> bytes:
    """The bytes that are digested: `[[0,3],[2,7]]`, no spaces."""
    return json.dumps(pairs, separators=(",", ":")).encode()


async def keep(store: ArtifactStore, pairs: list[tuple[int, int]]) -> None:
    """Store a frozen set. Do so before the record that names its digest is created; idempotent."""
    await store.put_bytes(canonical_json(pairs))


async def load(store: ArtifactStore, digest: str) -> list[tuple[int, int]]:
    """The frozen set with this digest.

    Raises `NotFound` where `keep` was never called, `DigestMismatch` where its bytes have changed.
    """
    content = await store.read_whole(digest)
    return [(int(region), int(label)) for region, label in json.loads(content)]


async def labels_json(store: ArtifactStore, digest: str) -> list[dict[str, Any]]:
    """The frozen set as a job.json has it; raises `NotFound`, `DigestMismatch`."""
    return [{"region": region, "label": label} for region, label in await load(store, digest)]

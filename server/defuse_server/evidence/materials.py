"""Gathers what the evidence is made from: the evaluation, and what its audit found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from defuse.v1.audit_service_pb2 import Audit, Region
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset

from defuse_server.backend import Backend
from defuse_server.errors import NotFound
from defuse_server.names import artifact_sha256
from defuse_server.store.artifacts import ArtifactStore

PICTURES_SHOWN: Final = 60
PICTURES_BYTES: Final = 12 << 20
"""Limit for all pictures of one report, because people send it by mail."""
_REGIONS_READ: Final = 500


@dataclass(frozen=True)
class Materials:
    """Everything that the evidence says. Parts of a record that may still change are not used."""

    evaluation: Evaluation
    audit: Audit
    dataset: Dataset
    baseline: Classifier
    candidate: Classifier
    correction: Correction | None
    """The correction that made the candidate, or None if Defuse did not make it."""
    regions: tuple[Region, ...]
    """The regions that the frozen labels belong to, the largest harm first."""
    pictures: Mapping[str, bytes]
    """PNG files of the first regions' samples, by the region's name."""


async def gather(backend: Backend, evaluation: Evaluation) -> Materials:
    """Gather the materials. Raises `NotFound` if the audit, the dataset or a classifier is gone."""
    audit = await backend.resources.fetch(Audit, evaluation.audit)
    candidate = await backend.resources.fetch(Classifier, evaluation.candidate)
    regions = await _regions(backend, evaluation)
    return Materials(
        evaluation=evaluation,
        audit=audit,
        dataset=await backend.resources.fetch(Dataset, audit.dataset),
        baseline=await backend.resources.fetch(Classifier, evaluation.baseline),
        candidate=candidate,
        correction=await backend.resources.find(Correction, candidate.lineage.correction),
        regions=regions,
        pictures=await _pictures(backend.store, evaluation, regions),
    )


async def _regions(backend: Backend, evaluation: Evaluation) -> tuple[Region, ...]:
    found: list[Region] = []
    while page := await backend.regions.range(evaluation.audit, len(found), _REGIONS_READ):
        found += page
    if evaluation.HasField("labeling"):
        # New regions join at the end; those that came since are not part of this evaluation.
        del found[evaluation.labeling.region_count :]
    return tuple(sorted(found, key=lambda region: -region.harm.value))


async def _pictures(
    store: ArtifactStore, evaluation: Evaluation, regions: tuple[Region, ...]
) -> dict[str, bytes]:
    """Return pictures, those of labeled regions first: they have an accuracy before and after."""
    labeled = {entry.region for entry in evaluation.regions}
    pictures: dict[str, bytes] = {}
    left_bytes = PICTURES_BYTES
    for region in sorted(regions, key=lambda region: region.name not in labeled)[:PICTURES_SHOWN]:
        picture = await _picture(store, region)
        if picture and len(picture) <= left_bytes:
            pictures[region.name] = picture
            left_bytes -= len(picture)
    return pictures


async def _picture(store: ArtifactStore, region: Region) -> bytes:
    if not region.sheet.artifact:
        return b""
    try:
        return await store.read(artifact_sha256(region.sheet.artifact))
    except NotFound:
        return b""

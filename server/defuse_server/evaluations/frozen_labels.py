"""Freezes the labels of an audit's regions for a correction or an evaluation.

Regions of bugs that nobody has answered take their verified proposals (`labels/proposals.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import Region
from defuse.v1.promotion_service_pb2 import LabelingFigures

from defuse_server.backend import Backend
from defuse_server.errors import NoConfirmedBug
from defuse_server.labels import label_set
from defuse_server.labels.labeling_figures import labeling_figures
from defuse_server.labels.region_label import OPEN_STATES, RegionLabel
from defuse_server.names import region_number


@dataclass(frozen=True)
class FrozenLabels:
    """A set of labels that is stored under its digest."""

    digest: str
    regions_artifact: str
    """The file of the regions that the labels belong to."""
    labeled_region_count: int
    confirmed_region_count: int
    proposal_region_count: int
    """How many of the labels are verified proposals."""


async def for_correction(backend: Backend, audit: str, *, with_proposals: bool) -> FrozenLabels:
    """Freeze the labels, so that their answers can't be undone. Raises `NoConfirmedBug`."""
    # Checked first: a refused request must not close regions.
    if (await backend.labeling.progress(audit)).confirmed_count == 0:
        raise NoConfirmedBug(
            f"no bug of {audit} has a label that differs from the classifier's prediction: label more bugs; "
            "without such a label there is nothing to correct"
        )
    labels = await backend.labeling.freeze(audit)
    proposed = (await backend.labeling.proposals(audit)).labels() if with_proposals else {}
    return await _kept(backend, audit, labels, proposed, await backend.regions.all(audit))


async def for_evaluation(backend: Backend, audit: str) -> tuple[FrozenLabels, LabelingFigures]:
    """Store the present labels, and return their figures. Annotators may go on."""
    regions = await backend.regions.all(audit)
    labels = {region_number(region.name): region for region in regions}
    report = await backend.labeling.report(audit)
    proposals = await backend.labeling.proposals(audit)
    figures = labeling_figures(regions, await backend.bugs.all(audit), report, proposals.in_use)
    return await _kept(backend, audit, labels, proposals.labels(), regions), figures


async def _kept(
    backend: Backend,
    audit: str,
    labels: Mapping[int, RegionLabel | Region],
    proposed: Mapping[int, RegionLabel],
    regions: Sequence[Region],
) -> FrozenLabels:
    # An answer may have come since: it goes before the proposal.
    taken = {
        number: label
        for number, label in proposed.items()
        if number not in labels or labels[number].state in OPEN_STATES
    }
    digest, pairs = label_set.freeze({**labels, **taken})
    # Stored before the record that names the digest is created.
    await label_set.keep(backend.store, pairs)
    predicted = {region_number(region.name): region.predicted_class for region in regions}
    return FrozenLabels(
        digest=digest,
        # Read after the labels: regions are never removed, so the file has every labeled one.
        regions_artifact=await backend.regions.artifact(audit),
        labeled_region_count=len(pairs),
        confirmed_region_count=sum(predicted[number] != label for number, label in pairs),
        proposal_region_count=len(taken),
    )

"""Freezes the labels of an audit's regions for a correction or an evaluation.

Regions of bugs that nobody has answered take their verified proposals (`labels/proposals.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import Region
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.promotion_service_pb2 import LabelingFigures

from defuse_server.backend import Backend
from defuse_server.errors import NoConfirmedBug, WrongState
from defuse_server.labels import label_set
from defuse_server.labels.labeling_figures import labeling_figures
from defuse_server.labels.proposals import Proposals
from defuse_server.labels.region_label import OPEN_STATES, RegionLabel
from defuse_server.names import region_number


@dataclass(frozen=True)
class FrozenLabels:
    """A set of labels that is stored under its digest."""

    digest: str
    regions_artifact: str
    """The file that has all labeled regions, and maybe others."""
    region_files: tuple[str, ...]
    """The files in which the labeled regions were published, in the order of their names."""
    figures: LabelingFigures
    """How complete the labels are."""
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
    proposals = await backend.labeling.proposals(audit) if with_proposals else None
    return await _kept(backend, audit, labels, await backend.regions.all(audit), proposals)


async def for_evaluation(backend: Backend, audit: str) -> FrozenLabels:
    """Store the present labels. Annotators may go on."""
    regions = await backend.regions.all(audit)
    labels = {region_number(region.name): region for region in regions}
    return await _kept(backend, audit, labels, regions, await backend.labeling.proposals(audit))


async def of_correction(backend: Backend, correction: Correction) -> FrozenLabels:
    """Return the labels that a correction used.

    Raises `WrongState` if an older server froze them, which did not count what was left out, and `NotFound`
    if the store has lost them.
    """
    if not correction.HasField("labeling"):
        raise WrongState(
            f"{correction.name} does not say which bugs had no label: ask for the latest labels",
            figures={"name": correction.name},
        )
    pairs = await label_set.load(backend.store, correction.label_set_digest)
    return FrozenLabels(
        digest=correction.label_set_digest,
        regions_artifact=correction.regions_artifact,
        region_files=_files(pairs, await backend.regions.all(correction.audit)),
        figures=correction.labeling,
        labeled_region_count=len(pairs),
        confirmed_region_count=correction.confirmed_region_count,
        proposal_region_count=correction.proposal_region_count,
    )


async def _kept(
    backend: Backend,
    audit: str,
    labels: Mapping[int, RegionLabel | Region],
    regions: Sequence[Region],
    proposals: Proposals | None,
) -> FrozenLabels:
    report = await backend.labeling.report(audit)
    # An answer may have come since: it goes before the proposal.
    taken = {
        number: label
        for number, label in (proposals.labels() if proposals else {}).items()
        if number not in labels or labels[number].state in OPEN_STATES
    }
    in_use = proposals.in_use if proposals else ()
    figures = labeling_figures(regions, await backend.bugs.all(audit), report, in_use)
    digest, pairs = label_set.freeze({**labels, **taken})
    figures.labeled_region_count = len(pairs)
    # Stored before the record that names the digest is created.
    await label_set.keep(backend.store, pairs)
    predicted = {region_number(region.name): region.predicted_class for region in regions}
    return FrozenLabels(
        digest=digest,
        # Read after the labels: regions are never removed, so the file has every labeled one.
        regions_artifact=await backend.regions.artifact(audit),
        region_files=_files(pairs, regions),
        figures=figures,
        labeled_region_count=len(pairs),
        confirmed_region_count=sum(predicted[number] != label for number, label in pairs),
        proposal_region_count=len(taken),
    )


def _files(pairs: Sequence[tuple[int, int]], regions: Sequence[Region]) -> tuple[str, ...]:
    labeled = {number for number, _ in pairs}
    return tuple(
        sorted({region.regions_artifact for region in regions if region_number(region.name) in labeled})
    )

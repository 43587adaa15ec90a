"""The labels of an audit's regions, frozen for a correction or an evaluation."""

from dataclasses import dataclass

from defuse_server.backend import Backend
from defuse_server.errors import NoConfirmedBug
from defuse_server.jobs import label_set

_REGIONS_READ = 500


@dataclass(frozen=True)
class FrozenLabels:
    """A set of labels that is in the store under its digest, and what it holds."""

    digest: str
    regions_artifact: str
    """The regions that the labels are of."""
    labeled_region_count: int
    confirmed_region_count: int


async def for_correction(backend: Backend, audit: str) -> FrozenLabels:
    """Freeze the labels: those that were used can't be undone any more. Raises NoConfirmedBug."""
    # Asked first: a request that is refused must not close regions.
    if (await backend.labeling.progress(audit)).confirmed_count == 0:
        raise NoConfirmedBug(
            f"no region of {audit} has a label that differs from the classifier's prediction: label its "
            "regions, or there is nothing to correct"
        )
    return await _kept(backend, audit, label_set.freeze(await backend.labeling.freeze(audit)))


async def for_evaluation(backend: Backend, audit: str) -> FrozenLabels:
    """Keep the labels as they are now; annotators may go on."""
    return await _kept(backend, audit, label_set.freeze(await backend.labeling.labels(audit)))


async def _kept(backend: Backend, audit: str, frozen: tuple[str, list[tuple[int, int]]]) -> FrozenLabels:
    digest, pairs = frozen
    # Kept before the record that names the digest is made.
    await label_set.keep(backend.store, pairs)
    predicted = await _predicted_classes(backend, audit)
    return FrozenLabels(
        digest=digest,
        # Read behind the labels: regions only ever join, so it has all that were labeled by then.
        regions_artifact=await backend.regions.artifact(audit),
        labeled_region_count=len(pairs),
        confirmed_region_count=sum(predicted[number] != label for number, label in pairs),
    )


async def _predicted_classes(backend: Backend, audit: str) -> list[int]:
    classes: list[int] = []
    while page := await backend.regions.range(audit, len(classes), _REGIONS_READ):
        classes += [region.predicted_class for region in page]
    return classes

"""Bugs: groups of regions, their cells, that show one kind of mistake.

Refinement leaves small, pure regions, most of them the surroundings of one seed. People should not label them
one by one. Two cells of the same confusion are one bug if a correction of one corrects the other. To first
order that is so as far as the gradients of their losses, by the classifier's weights, point the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from sklearn.cluster import AgglomerativeClustering
from torch import Tensor
from torch.nn import functional

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.models.preprocessing import apply
from defuse_engine.models.scores import log_probabilities
from defuse_engine.models.torch_form.differentiable import DifferentiableModel, to_torch
from defuse_engine.regions.sampled_regions import SampledRegion
from defuse_engine.run import Run

_LEAST_ALIGNED = 0.5
"""Mean cosine of two groups of cells that are still joined."""
_SAMPLES = 16
"""Samples of a cell that its gradient is the mean of."""
_MOST_WEIGHTS = 1 << 17
"""Weights that the cosine looks at: a random part of them tells as much as all."""

Cells = Int64[np.ndarray, " c"]
"""Positions of regions in their list, ascending."""


@dataclass(frozen=True)
class Bug:
    """Cells of one confusion that one correction corrects."""

    cells: Cells
    seed_label: int
    predicted_class: int


GroupCells = Callable[[Run, Sequence[SampledRegion]], list[Bug]]
"""A way to group regions, in the order that they are shown in."""


def by_gradient(run: Run, regions: Sequence[SampledRegion]) -> list[Bug]:
    """Join cells of the same confusion while their gradients point the same way.

    If the classifier has no gradient by its weights, each confusion is one bug: nothing could be corrected.
    """
    gradients = _gradients_of(run)
    bugs: list[Bug] = []
    for cells in _by_confusion(regions):
        groups = np.zeros(len(cells), np.int64)
        if gradients is not None and len(cells) > 1:
            joining = AgglomerativeClustering(
                n_clusters=None,  # pyright: ignore[reportArgumentType]
                metric="precomputed",
                linkage="average",
                distance_threshold=1.0 - _LEAST_ALIGNED,
            )
            groups = joining.fit_predict(_distances(gradients, [regions[cell] for cell in cells]))
        bugs += [_bug(regions, cells[groups == group]) for group in np.unique(groups)]
    return bugs


def one_by_one(run: Run, regions: Sequence[SampledRegion]) -> list[Bug]:
    """Let each region be a bug of its own, as the published method labels them."""
    return [_bug(regions, np.array([cell])) for cell in range(len(regions))]


def in_two(run: Run, regions: Sequence[SampledRegion]) -> list[Bug]:
    """Part the cells of one bug that people called mixed, at least two, where they are least alike."""
    gradients = _gradients_of(run)
    joining = AgglomerativeClustering(n_clusters=2, metric="precomputed", linkage="average")
    distances = _latent_distances(run, regions) if gradients is None else _distances(gradients, regions)
    groups = joining.fit_predict(distances)
    return [_bug(regions, np.flatnonzero(groups == group)) for group in (0, 1)]


def _by_confusion(regions: Sequence[SampledRegion]) -> list[Cells]:
    confusions = [(sampled.region.seed_label, sampled.region.predicted_class) for sampled in regions]
    return [
        np.array([cell for cell, its in enumerate(confusions) if its == confusion])
        for confusion in dict.fromkeys(confusions)
    ]


def _bug(regions: Sequence[SampledRegion], cells: Cells) -> Bug:
    region = regions[int(cells[0])].region
    return Bug(cells, region.seed_label, region.predicted_class)


Gradients = Callable[[SampledRegion], Float32[np.ndarray, " w"]]


def _gradients_of(run: Run) -> Gradients | None:
    """Return what gives a cell's gradient of the cross-entropy of its seeds' label, of length 1."""
    classifier = run.inputs.classifier
    try:
        model = to_torch(classifier.session.model_bytes, classifier.output.name).to(run.device)
    except InvalidModel as error:
        if error.reason is not Reason.MODEL_NOT_DIFFERENTIABLE:
            raise
        return None
    weights = list(model.parameters())
    count = sum(weight.numel() for weight in weights)
    chosen = run.generator("distill/weights").permutation(count)[:_MOST_WEIGHTS]
    rows = torch.from_numpy(np.sort(chosen)).to(run.device)

    def gradient(sampled: SampledRegion) -> Float32[np.ndarray, " w"]:
        loss = _loss(run, model, sampled)
        parts = torch.autograd.grad(loss, weights)
        whole = torch.cat([part.flatten().float() for part in parts])[rows]
        return functional.normalize(whole.nan_to_num(), dim=0).cpu().numpy()

    return gradient


def _loss(run: Run, model: DifferentiableModel, sampled: SampledRegion) -> Tensor:
    classifier = run.inputs.classifier
    images = torch.from_numpy(run.inputs.decoder(sampled.codes[:_SAMPLES])).to(run.device)
    told = log_probabilities(model(apply(classifier.preprocessing, images)), classifier.output_kind)
    return -told[:, sampled.region.seed_label].mean()


def _distances(gradients: Gradients, regions: Sequence[SampledRegion]) -> Float32[np.ndarray, "c c"]:
    """Return one minus the cosine of every two cells' gradients."""
    directions = np.stack([gradients(sampled) for sampled in regions])
    return np.clip(1.0 - directions @ directions.T, 0.0, 2.0)


def _latent_distances(run: Run, regions: Sequence[SampledRegion]) -> Float32[np.ndarray, "c c"]:
    spread = np.where(run.latent_spread > 0, run.latent_spread, 1.0)
    means = torch.from_numpy(np.stack([sampled.region.mean for sampled in regions]) / spread)
    return torch.cdist(means, means).float().numpy()

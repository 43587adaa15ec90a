"""Codes of a split: where its items lie in latent space."""

from __future__ import annotations

import numpy as np

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.inputs.dataset import Split
from defuse_engine.inputs.finite_items import finite_items
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Encoder
from defuse_engine.types import Codes

_OUTLYING = 100.0
_MOST = 0.99


def encode_split(encoder: Encoder, split: Split, reporter: Reporter) -> Codes:
    """Return mu of every image of a split, in its order.

    Raises MODEL_NOT_FINITE if one is NaN or infinite. Warns of a few that lie far from all others.
    """
    parts: list[np.ndarray] = []
    for chosen, images in split.batches(np.arange(len(split)), encoder.session.chunk_size):
        parts.append(encoder(images))
        reporter.progress("neighbourhood", int(chosen[-1]) + 1, len(split), "items")
    codes = np.concatenate(parts)
    bad = np.flatnonzero(~finite_items(codes))
    if len(bad):
        raise InvalidModel(
            Reason.MODEL_NOT_FINITE,
            f"the VAE's encoder answers NaN or infinite values for {len(bad)} of {len(codes)} items of a "
            f"split (the first: item {bad[0]}, whose pixels lie in [{split.images(bad[:1]).min():g}, "
            f"{split.images(bad[:1]).max():g}]). Leave them out of the dataset, or export an encoder that "
            "encodes them",
            {"items_not_finite": len(bad), "items": len(codes), "first_item": int(bad[0])},
        )
    _warn_of_outlying(codes, reporter)
    return codes


def _warn_of_outlying(codes: Codes, reporter: Reporter) -> None:
    """Warn of codes far from all others: a few inflate the spread that every step is measured by."""
    distances = np.linalg.norm((codes - np.median(codes, axis=0)).astype(np.float64), axis=1)
    outlying = np.flatnonzero(distances > _OUTLYING * np.quantile(distances, _MOST))
    if len(outlying):
        reporter.warning(
            "ITEMS_OUTLYING",
            f"the codes of {len(outlying)} of {len(codes)} items of a split lie more than {_OUTLYING:g} "
            f"times as far out as those of {_MOST:.0%} (the first: item {outlying[0]}). The search steps by "
            "the spread of all codes, so it steps too far. Look at these images, or leave them out",
        )

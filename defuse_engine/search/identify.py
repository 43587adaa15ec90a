"""Step 1 of the method: perturb seeds in latent space, decode, classify, keep what is misclassified.

Source: Slack, Rauschmayr, Kenthapadi, arXiv 2102.06162 (2021), section 3; the neighbourhood check and the
seed filter are this project's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8

from defuse_engine.configs import PAPER_CONCENTRATION, AuditConfig, Preset
from defuse_engine.inputs.dataset import Split
from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.search.neighbourhood import Neighbourhood
from defuse_engine.seeding import numpy_generator
from defuse_engine.types import Chunk, Codes, Labels, Misclassifications

_CANDIDATES_AT_ONCE = 1 << 13
"""Bounds the memory of a shard, and the time between two reports, whatever its number of seeds."""


@dataclass(frozen=True)
class Seeds:
    """Dataset items that a search starts from; row i of every array is the same item."""

    codes: Codes
    """mu(x)."""
    index: Labels
    """Index into the split."""
    split: UInt8[np.ndarray, " n"]
    """0 train, 1 validation, 2 test."""
    labels: Labels

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: slice | np.ndarray) -> Seeds:
        return Seeds(self.codes[rows], self.index[rows], self.split[rows], self.labels[rows])


@dataclass(frozen=True)
class Search:
    """A search with everything that it depends on: the same search gives the same chunks."""

    classifier: Classifier
    decoder: Decoder
    neighbourhood: Neighbourhood | None
    """None where `preset: paper` looks at none."""
    config: AuditConfig
    job_seed: int
    stage: str = "identify"
    """Names the random stream."""

    def shard_count(self, seeds: Seeds) -> int:
        """Return how many shards the seeds make."""
        return -(-len(seeds) // self.config.shard_seeds)

    def run_shard(
        self, seeds: Seeds, shard: int, on_progress: Callable[[int], None] = lambda seeds_done: None
    ) -> Chunk:
        """Search from the seeds of one shard; all randomness comes from (job seed, stage, shard).

        `seeds` are those of all shards; `on_progress` hears how many of the shard's are done.
        """
        size = self.config.shard_seeds
        seeds = seeds[shard * size : (shard + 1) * size]
        takes_part = self._takes_part(seeds)
        rng = numpy_generator(self.job_seed, self.stage, shard)
        found: list[Misclassifications] = []
        step = max(1, _CANDIDATES_AT_ONCE // self.config.candidates_per_seed)
        for start in range(0, len(seeds), step):
            rows = slice(start, start + step)
            # Noise is drawn for seeds that take no part, too: so two classifiers meet the same candidates.
            deltas = draw_deltas(self.config, len(seeds.index[rows]), seeds.codes.shape[1], rng)
            found.append(self._from_block(seeds[rows][takes_part[rows]], deltas[takes_part[rows]]))
            on_progress(min(start + step, len(seeds)))
        participants = int(takes_part.sum())
        return Chunk(concatenate(found), participants * self.config.candidates_per_seed, participants)

    def _takes_part(self, seeds: Seeds) -> Bool[np.ndarray, " n"]:
        if self.config.preset == "paper":
            return np.ones(len(seeds), bool)
        predicted, _ = self._classify(seeds.codes)
        return predicted == seeds.labels

    def _from_block(self, seeds: Seeds, deltas: Float32[np.ndarray, "s q d"]) -> Misclassifications:
        candidates = (seeds.codes[:, None, :] + deltas).reshape(-1, deltas.shape[2])
        seed_rows = np.repeat(np.arange(len(seeds)), deltas.shape[1])
        predicted, confidence = self._classify(candidates)
        kept = np.flatnonzero(predicted != seeds.labels[seed_rows])
        agreement = self._agreement(candidates[kept], seeds.labels[seed_rows[kept]])
        agrees = ~(agreement < self.config.agreement_threshold)
        kept, agreement = kept[agrees], agreement[agrees]
        norms = np.linalg.norm(deltas.reshape(candidates.shape)[kept], axis=1)
        nearest = smallest_per_seed(seed_rows[kept], norms, self.config.kept_per_seed)
        kept, agreement, norms = kept[nearest], agreement[nearest], norms[nearest]
        of_seed = seeds[seed_rows[kept]]
        return self._confirmed(
            Misclassifications(
                codes=candidates[kept],
                seed_index=of_seed.index,
                seed_split=of_seed.split,
                seed_label=of_seed.labels.astype(np.int32),
                predicted_class=predicted[kept].astype(np.int32),
                confidence=confidence[kept],
                delta_norm=norms.astype(np.float32),
                agreement=agreement,
            )
        )

    def _agreement(self, codes: Codes, seed_labels: Labels) -> Float32[np.ndarray, " n"]:
        if self.neighbourhood is None:
            return np.full(len(codes), np.nan, np.float32)
        return self.neighbourhood.agreement(codes, seed_labels)

    def _confirmed(self, found: Misclassifications) -> Misclassifications:
        """Decode and classify once more, in batches of another make-up, before anything is believed."""
        predicted, _ = self._classify(found.codes)
        return select(found, predicted == found.predicted_class)

    def _classify(self, codes: Codes) -> tuple[Labels, Float32[np.ndarray, " n"]]:
        return classify_codes(self.decoder, self.classifier, codes)


def classify_codes(
    decoder: Decoder, classifier: Classifier, codes: Codes
) -> tuple[Labels, Float32[np.ndarray, " n"]]:
    """Decode and classify; returns predicted classes (n,) and their probabilities (n,)."""
    predicted = np.empty(len(codes), np.int64)
    confidence = np.empty(len(codes), np.float32)
    runtime = decoder.session.runtime
    step = min(decoder.batch_size, classifier.batch_size)
    everything = torch.from_numpy(np.ascontiguousarray(codes)).to(runtime.device)
    for start in range(0, len(codes), step):
        outputs = classifier.on_device(decoder.on_device(everything[start : start + step]))
        best = classifier.probabilities(outputs).max(dim=1)
        predicted[start : start + step] = best.indices.cpu().numpy()
        confidence[start : start + step] = best.values.cpu().numpy()
    return predicted, confidence


def draw_deltas(
    config: AuditConfig, seeds: int, latent_size: int, rng: np.random.Generator
) -> Float32[np.ndarray, "s q d"]:
    """Draw the perturbations of some seeds.

    `default`: N(0, noise_scale^2) per coordinate. `paper`: Beta(50, 50) per coordinate, uncentred (its mean
    is 0.5), as the reference of arXiv 2102.06162 does.
    """
    shape = (seeds, config.candidates_per_seed, latent_size)
    preset: Preset = config.preset
    if preset == "paper":
        return rng.beta(PAPER_CONCENTRATION, PAPER_CONCENTRATION, shape).astype(np.float32)
    deltas = rng.standard_normal(shape, np.float32)
    deltas *= np.float32(config.noise_scale)
    return deltas


def smallest_per_seed(seed_rows: np.ndarray, norms: Float32[np.ndarray, " n"], most: int) -> np.ndarray:
    """Return the positions, in their order, of the `most` smallest norms of each seed."""
    order = np.lexsort((norms, seed_rows))
    ordered = seed_rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(order) else np.zeros(0, np.int64)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    return np.sort(order[rank < most])


def choose_seeds(split: Split, split_number: int, codes: Codes, most: int, rng: np.random.Generator) -> Seeds:
    """Choose at most `most` items of a split (0: all) as seeds, in the split's order; `codes` are its mu."""
    index = np.arange(len(split), dtype=np.int64)
    if 0 < most < len(index):
        index = np.sort(rng.choice(index, most, replace=False))
    return Seeds(codes[index], index, np.full(len(index), split_number, np.uint8), split.labels[index])


def select(found: Misclassifications, rows: np.ndarray) -> Misclassifications:
    """Return the chosen rows of every array."""
    return Misclassifications(**{name: values[rows] for name, values in vars(found).items()})


def concatenate(parts: list[Misclassifications]) -> Misclassifications:
    """Join at least one part, row after row."""
    return Misclassifications(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    )

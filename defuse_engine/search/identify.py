"""Step 1 of the method: candidates around seeds, decoded, classified, judged; what is misclassified is kept.

Source: Slack, Rauschmayr, Kenthapadi, arXiv 2102.06162 (2021), section 3; the judge, the seed filter and all
methods but `paper` are this project's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8

from defuse_engine.configs import METHODS, AuditConfig
from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.parallel import Tally, in_order
from defuse_engine.search.belief import Judge
from defuse_engine.search.misclassification_rows import concatenate, select, smallest_per_seed
from defuse_engine.search.growth import grow
from defuse_engine.search.methods.search_method import Proposals, SearchMethod
from defuse_engine.search.seeds import Seeds
from defuse_engine.search.thresholds import Thresholds
from defuse_engine.random_streams import numpy_generator
from defuse_engine.types import Chunk, Codes, Images, Labels, Misclassifications

_CANDIDATES_AT_ONCE = 1 << 13
"""Bounds the memory of a shard, and the time between two reports, whatever its number of seeds."""
_COPIES = 2
"""Of the images of all candidates, where all are misclassified: they are kept, and joined."""
NOT_FINITE = -1
"""Stands for the class of what gets no class."""


@dataclass(frozen=True)
class TriedShard:
    """What a shard gave."""

    found: Misclassifications
    seed_candidates: Int64[np.ndarray, " s"]
    """Candidates of each seed of the shard, in their order; 0 where it took no part."""
    seeds: int
    """Seeds that took part."""
    not_finite: int
    """Candidates for which decoder or classifier answered NaN or infinite values."""

    def chunk(self) -> Chunk:
        """What an audit keeps of it."""
        return Chunk(self.found, int(self.seed_candidates.sum()), self.seeds, self.not_finite)


@dataclass(frozen=True)
class Search:
    """A search with everything that it depends on: the same search gives the same chunks."""

    classifier: Classifier
    decoder: Decoder
    methods: tuple[SearchMethod, ...]
    judge: Judge | None
    """None where `preset: paper` believes everything."""
    thresholds: Thresholds
    scale: Float32[np.ndarray, " d"]
    """Standard deviation of the noise in each latent coordinate."""
    config: AuditConfig
    job_seed: int
    stage: str = "identify"
    """Names the random stream."""
    grows: bool = True
    """Whether what is believed gets company; a search that counts candidates alone asks for none."""

    def shard_count(self, seeds: Seeds) -> int:
        """Return how many shards the seeds make."""
        return -(-len(seeds) // self.config.shard_seeds)

    def run_shard(
        self, seeds: Seeds, shard: int, on_progress: Callable[[int], None] = lambda seeds_done: None
    ) -> Chunk:
        """Search from the seeds of one shard; all randomness comes from (job seed, stage, shard).

        `seeds` are those of all shards; `on_progress` hears how many of the shard's are done.
        """
        return self.try_shard(seeds, shard, on_progress).chunk()

    def try_shards(
        self,
        seeds: Seeds,
        shards: Sequence[int],
        on_progress: Callable[[int], None] = lambda seeds_done: None,
    ) -> Generator[TriedShard, None, None]:
        """As `try_shard` with each of `shards`, in their order, several at once.

        `on_progress` hears how many seeds of all of them are done.
        """
        runtime, tally = self.decoder.session.runtime, Tally(on_progress)
        images = _CANDIDATES_AT_ONCE * 4 * math.prod(self.decoder.image_shape)
        working = max(method.memory_bytes for method in self.methods)
        at_once = runtime.at_once(_COPIES * images + working)

        def one(shard: int) -> TriedShard:
            return self.try_shard(seeds, shard, tally.of(shard))

        return in_order(one, shards, at_once, runtime.threads)

    def try_shard(
        self, seeds: Seeds, shard: int, on_progress: Callable[[int], None] = lambda seeds_done: None
    ) -> TriedShard:
        """As `run_shard`, with the candidates of each seed."""
        size = self.config.shard_seeds
        seeds = seeds[shard * size : (shard + 1) * size]
        takes_part = self.takes_part(seeds)
        rng = numpy_generator(self.job_seed, self.stage, shard)
        growth_rng = numpy_generator(self.job_seed, f"{self.stage}/growth", shard)
        found: list[Misclassifications] = []
        tried: list[np.ndarray] = [np.zeros(0, np.int64)]
        not_finite = 0
        step = max(1, _CANDIDATES_AT_ONCE // self.config.candidates_per_seed)
        for start in range(0, len(seeds), step):
            rows = slice(start, start + step)
            candidates = self._proposed(seeds[rows], takes_part[rows], rng)
            if self.grows and self.judge is not None:
                candidates = self._with_company(seeds[rows], candidates, growth_rng)
            found.append(self._bounded(candidates))
            tried.append(candidates.tried)
            not_finite += candidates.not_finite
            on_progress(min(start + step, len(seeds)))
        return TriedShard(
            self._confirmed(concatenate(found)), np.concatenate(tried), int(takes_part.sum()), not_finite
        )

    def takes_part(self, seeds: Seeds) -> Bool[np.ndarray, " n"]:
        """Tell which seeds the search starts from: those that are read (`reads`); all for `preset: paper`."""
        if self.config.preset == "paper":
            return np.ones(len(seeds), bool)
        return reads(self.classifier, self.decoder, seeds)

    def _proposed(self, seeds: Seeds, takes_part: Bool[np.ndarray, " n"], rng: np.random.Generator) -> _Found:
        parts: list[_Found] = []
        for method in self.methods:
            proposals = method.propose(seeds, takes_part, rng)
            number = np.full(len(proposals.codes), METHODS.index(method.name) + 1, np.uint8)
            parts.append(self._misclassified(seeds, proposals, number))
        return _joined(parts)

    def _with_company(self, seeds: Seeds, candidates: _Found, rng: np.random.Generator) -> _Found:
        codes, parents = grow(candidates.found, self.scale, rng)
        rows = candidates.seed_rows[parents]
        proposals = Proposals(codes, rows, np.bincount(rows, minlength=len(seeds)))
        return _joined([candidates, self._misclassified(seeds, proposals, candidates.found.method[parents])])

    def _misclassified(self, seeds: Seeds, proposals: Proposals, method: UInt8[np.ndarray, " n"]) -> _Found:
        """Those proposals that are misclassified, and believed."""
        wrong = misclassified(
            self.decoder, self.classifier, proposals.codes, seeds.labels[proposals.seed_rows]
        )
        codes, rows = proposals.codes[wrong.rows], proposals.seed_rows[wrong.rows]
        agreement, probability, read = self._judged(wrong, seeds.labels[rows])
        found = Misclassifications(
            codes=codes,
            seed_index=seeds.index[rows],
            seed_split=seeds.split[rows],
            seed_label=seeds.labels[rows].astype(np.int32),
            predicted_class=wrong.predicted.astype(np.int32),
            confidence=wrong.confidence,
            delta_norm=np.linalg.norm(codes - seeds.codes[rows], axis=1).astype(np.float32),
            agreement=agreement,
            bug_probability=probability,
            method=method[wrong.rows],
        )
        # NaN, where nobody was asked, compares as false: it is kept.
        doubted = (agreement < self.thresholds.agreement) | (probability < self.thresholds.probability)
        doubted |= read < self.thresholds.reading
        believed = np.flatnonzero(~doubted)
        return _Found(select(found, believed), rows[believed], proposals.tried, wrong.not_finite)

    def _judged(
        self, wrong: Misclassified, seed_labels: Labels
    ) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, " n"], Float32[np.ndarray, " n"]]:
        """Agreement, probability of being a bug, and that of the seed label as the witness reads it."""
        if self.judge is None:
            unasked = np.full(len(seed_labels), np.nan, np.float32)
            return unasked, np.zeros_like(unasked), unasked
        evidence = self.judge(
            wrong.images, seed_labels, wrong.predicted, wrong.confidence, self.thresholds.probability
        )
        return evidence.agreement, evidence.bug_probability, evidence.seed_probability

    def _bounded(self, candidates: _Found) -> Misclassifications:
        found = candidates.found
        order = found.delta_norm if self.judge is None else -found.bug_probability
        return select(found, smallest_per_seed(candidates.seed_rows, order, self.config.kept_per_seed))

    def _confirmed(self, found: Misclassifications) -> Misclassifications:
        """Decode and classify once more, in batches of another make-up, before anything is believed."""
        predicted, _ = classify_codes(self.decoder, self.classifier, found.codes)
        return select(found, predicted == found.predicted_class)


@dataclass(frozen=True)
class _Found:
    """Misclassifications of a block of seeds, with the row of each one's seed in the block."""

    found: Misclassifications
    seed_rows: Int64[np.ndarray, " n"]
    tried: Int64[np.ndarray, " s"]
    """Candidates of each seed of the block."""
    not_finite: int
    """Candidates of all of them that were left out."""


def _joined(parts: list[_Found]) -> _Found:
    return _Found(
        concatenate([part.found for part in parts]),
        np.concatenate([part.seed_rows for part in parts]),
        np.sum([part.tried for part in parts], axis=0),
        sum(part.not_finite for part in parts),
    )


@dataclass(frozen=True)
class Misclassified:
    """Codes that are not classified as they should be; row i of every array is the same code."""

    rows: Int64[np.ndarray, " n"]
    """Where they stand among all."""
    predicted: Labels
    confidence: Float32[np.ndarray, " n"]
    """Probability of the predicted class."""
    images: Images
    """What they look like, decoded."""
    not_finite: int
    """Codes of which nothing can be said (`NOT_FINITE`); they are none of these."""


def reads(classifier: Classifier, decoder: Decoder, seeds: Seeds) -> Bool[np.ndarray, " n"]:
    """Tell which seeds the classifier gets right as the VAE draws them.

    Around others it errs whatever is done to them.
    """
    predicted, _ = classify_codes(decoder, classifier, seeds.codes)
    return predicted == seeds.labels


def misclassified(decoder: Decoder, classifier: Classifier, codes: Codes, labels: Labels) -> Misclassified:
    """Decode and classify; keeps what is not classified as `labels` (n,)."""
    images: list[Images] = []

    def keep(start: int, decoded: torch.Tensor, predicted: Labels) -> None:
        wrong = (predicted != labels[start : start + len(predicted)]) & (predicted != NOT_FINITE)
        images.append(decoded.cpu().numpy()[wrong])

    predicted, confidence = classify_codes(decoder, classifier, codes, keep)
    answered = predicted != NOT_FINITE
    rows = np.flatnonzero((predicted != labels) & answered)
    nothing = np.zeros((0, *decoder.image_shape), np.float32)
    return Misclassified(
        rows, predicted[rows], confidence[rows], np.concatenate([nothing, *images]), int((~answered).sum())
    )


def classify_codes(
    decoder: Decoder,
    classifier: Classifier,
    codes: Codes,
    on_batch: Callable[[int, torch.Tensor, Labels], None] = lambda start, images, predicted: None,
) -> tuple[Labels, Float32[np.ndarray, " n"]]:
    """Decode and classify; returns predicted classes (n,) and their probabilities (n,).

    The class is `NOT_FINITE` where decoder or classifier answers NaN or infinite values. `on_batch` sees the
    row where each batch starts, its images and its predictions.
    """
    predicted = np.empty(len(codes), np.int64)
    confidence = np.empty(len(codes), np.float32)
    runtime = decoder.session.runtime
    step = min(decoder.batch_size, classifier.batch_size)
    everything = torch.from_numpy(np.ascontiguousarray(codes)).to(runtime.device)

    def classify(start: int) -> tuple[torch.Tensor, Labels, Float32[np.ndarray, " _"]]:
        images = decoder.on_device(everything[start : start + step])
        best = classifier.probabilities(classifier.on_device(images)).max(dim=1)
        # A classifier may turn a NaN of its input into a number. A sum is finite only if all its terms are.
        finite = images.flatten(1).sum(dim=1).isfinite() & best.values.isfinite()
        classes = best.indices.where(finite, NOT_FINITE)
        return images, classes.cpu().numpy(), best.values.cpu().numpy()

    starts = range(0, len(codes), step)
    batches = in_order(classify, starts, runtime.at_once(), runtime.threads)
    for start, (images, classes, probabilities) in zip(starts, batches, strict=True):
        predicted[start : start + step] = classes
        confidence[start : start + step] = probabilities
        on_batch(start, images, classes)
    return predicted, confidence

"""Step 1 of the method: candidates around seeds are decoded, classified and assessed; some are kept.

Source: Slack, Rauschmayr, Kenthapadi, arXiv 2102.06162 (2021), section 3. Belief models, the seed filter and
all methods but `paper` are this project's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from defuse_engine.configs import METHODS, AuditConfig
from defuse_engine.memory import give_back
from defuse_engine.models.onnx_model import Classifier, Decoder
from defuse_engine.parallel import Tally, in_order
from defuse_engine.random_streams import numpy_generator
from defuse_engine.search.belief import BeliefModel
from defuse_engine.search.classify_codes import classify_codes, misclassified
from defuse_engine.search.growth import grow
from defuse_engine.search.last_word import LastWord
from defuse_engine.search.methods.search_method import Proposals, SearchMethod
from defuse_engine.search.recipe import SearchRecipe
from defuse_engine.search.seeds import Seeds, smallest_per_seed
from defuse_engine.types import Chunk, Misclassifications, concatenate

_CANDIDATES_AT_ONCE = 1 << 13
"""Bounds the memory of a shard, and the time between two reports, whatever its number of seeds."""
_COPIES = 2
"""Copies of the images if all candidates are misclassified: they are kept, and joined."""


@dataclass(frozen=True)
class TriedShard:
    """The outcome of one shard."""

    found: Misclassifications
    seed_candidates: Int64[np.ndarray, " s"]
    """Candidates of each seed of the shard, in their order; 0 for a seed that took no part."""
    seeds: int
    """Seeds that took part."""
    not_finite: int
    """Candidates for which decoder or classifier answered NaN or infinite values."""

    def chunk(self) -> Chunk:
        """Return what an audit keeps of it."""
        return Chunk(self.found, int(self.seed_candidates.sum()), self.seeds, self.not_finite)


@dataclass(frozen=True)
class Search:
    """A search with everything that it depends on: the same search gives the same chunks."""

    classifier: Classifier
    decoder: Decoder
    methods: tuple[SearchMethod, ...]
    belief_model: BeliefModel
    recipe: SearchRecipe
    scale: Float32[np.ndarray, " d"]
    """Standard deviation of the noise in each latent coordinate."""
    config: AuditConfig
    random_seed: int
    stage: str = "identify"
    """Names the random stream."""
    last_word: LastWord | None = None
    """None: what the belief model believes is kept."""
    grows: bool = True
    """Whether the recipe's growth takes place."""

    def shard_count(self, seeds: Seeds) -> int:
        """Return how many shards the seeds make."""
        return -(-len(seeds) // self.config.shard_seeds)

    def starts_from(self, seeds: Seeds) -> Bool[np.ndarray, " n"]:
        """Tell which seeds take part."""
        return self.recipe.starts_from(self.classifier, self.decoder, seeds)

    def try_shards(
        self, seeds: Seeds, shards: Sequence[int], on_progress: Callable[[int], None] = lambda done: None
    ) -> Generator[TriedShard, None, None]:
        """Give `try_shard` of each of `shards`, in their order; several run at once.

        `on_progress` gets the number of seeds done, of all shards together.
        """
        runtime, tally = self.decoder.session.runtime, Tally(on_progress)
        images = _CANDIDATES_AT_ONCE * 4 * math.prod(self.decoder.image_shape)
        working = max(method.memory_bytes for method in self.methods)
        at_once = runtime.at_once(_COPIES * images + working)

        def one(shard: int) -> TriedShard:
            return self.try_shard(seeds, shard, tally.of(shard))

        with closing(in_order(one, shards, at_once, runtime.threads)) as searched:
            for tried in searched:
                give_back()
                yield tried

    def try_shard(
        self, seeds: Seeds, shard: int, on_progress: Callable[[int], None] = lambda done: None
    ) -> TriedShard:
        """Search from the seeds of one shard; all randomness comes from (random seed, stage, shard).

        `seeds` are those of all shards; `on_progress` gets the number of the shard's seeds done.
        """
        size = self.config.shard_seeds
        seeds = seeds[shard * size : (shard + 1) * size]
        takes_part = self.starts_from(seeds)
        rng = numpy_generator(self.random_seed, self.stage, shard)
        growth_rng = numpy_generator(self.random_seed, f"{self.stage}/growth", shard)
        found: list[Misclassifications] = []
        tried: list[np.ndarray] = [np.zeros(0, np.int64)]
        not_finite = 0
        step = max(1, _CANDIDATES_AT_ONCE // self.config.candidates_per_seed)
        for start in range(0, len(seeds), step):
            rows = slice(start, start + step)
            candidates = self._propose(seeds[rows], takes_part[rows], rng)
            if self.grows and self.recipe.grows:
                candidates = self._with_company(seeds[rows], candidates, growth_rng)
            found.append(self._keep_few(candidates))
            tried.append(candidates.tried)
            not_finite += candidates.not_finite
            on_progress(min(start + step, len(seeds)))
        return TriedShard(
            self._confirm(concatenate(found)), np.concatenate(tried), int(takes_part.sum()), not_finite
        )

    def _propose(self, seeds: Seeds, takes_part: np.ndarray, rng: np.random.Generator) -> _Found:
        parts: list[_Found] = []
        for method in self.methods:
            proposals = method.propose(seeds, takes_part, rng)
            number = np.full(len(proposals.codes), METHODS.index(method.name) + 1, np.uint8)
            parts.append(self._believed(seeds, proposals, number))
        return _joined(parts)

    def _with_company(self, seeds: Seeds, candidates: _Found, rng: np.random.Generator) -> _Found:
        codes, parents = grow(candidates.found, self.scale, rng)
        rows = candidates.seed_rows[parents]
        proposals = Proposals(codes, rows, np.bincount(rows, minlength=len(seeds)))
        return _joined([candidates, self._believed(seeds, proposals, candidates.found.method[parents])])

    def _believed(self, seeds: Seeds, proposals: Proposals, method: UInt8[np.ndarray, " n"]) -> _Found:
        """Return those proposals that are misclassified, and believed."""
        thresholds = self.belief_model.thresholds
        labels = seeds.labels[proposals.seed_rows]
        wrong = misclassified(self.decoder, self.classifier, proposals.codes, labels)
        codes, rows = proposals.codes[wrong.rows], proposals.seed_rows[wrong.rows]
        candidates = wrong.candidates
        belief = self.belief_model(candidates, thresholds.probability)
        found = Misclassifications(
            codes=codes,
            seed_index=seeds.index[rows],
            seed_split=seeds.split[rows],
            seed_label=candidates.seed_labels.astype(np.int32),
            predicted_class=candidates.predicted.astype(np.int32),
            confidence=candidates.confidence,
            delta_norm=np.linalg.norm(codes - seeds.codes[rows], axis=1).astype(np.float32),
            agreement=belief.agreement,
            bug_probability=belief.bug_probability,
            method=method[wrong.rows],
        )
        # NaN, which stands for what was not asked, compares as false: it is kept.
        doubted = (belief.agreement < thresholds.agreement) | (
            belief.bug_probability < thresholds.probability
        )
        doubted |= belief.seed_probability < thresholds.reading
        believed = np.flatnonzero(~doubted)
        return _Found(found[believed], rows[believed], proposals.tried, wrong.not_finite)

    def _keep_few(self, candidates: _Found) -> Misclassifications:
        values = self.recipe.rank(candidates.found)
        kept = smallest_per_seed(candidates.seed_rows, values, self.config.kept_per_seed)
        return candidates.found[kept]

    def _confirm(self, found: Misclassifications) -> Misclassifications:
        """Decode and classify once more, in batches of another make-up; then held-out readers are asked."""
        predicted, _ = classify_codes(self.decoder, self.classifier, found.codes)
        found = found[predicted == found.predicted_class]
        return found if self.last_word is None else self.last_word(found)


@dataclass(frozen=True)
class _Found:
    """Misclassifications of a block of seeds, with the row of each one's seed in the block."""

    found: Misclassifications
    seed_rows: Int64[np.ndarray, " n"]
    tried: Int64[np.ndarray, " s"]
    """Candidates of each seed of the block."""
    not_finite: int
    """Candidates of all seeds that were left out."""


def _joined(parts: list[_Found]) -> _Found:
    return _Found(
        concatenate([part.found for part in parts]),
        np.concatenate([part.seed_rows for part in parts]),
        np.sum([part.tried for part in parts], axis=0),
        sum(part.not_finite for part in parts),
    )

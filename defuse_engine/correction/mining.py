"""Mining: what a classifier still gets wrong near the audit's seeds, the hard part of the surroundings.

Fine-tuning on regions moves the boundary, and other places come to lie on its wrong side. A search of the
tuned classifier finds them. Those that are believed train it once more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.correction.disputed_regions import DisputedRegions
from defuse_engine.correction.labeled_regions import LabeledSamples
from defuse_engine.correction.surroundings import no_surroundings
from defuse_engine.memory import give_back
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.run import Run
from defuse_engine.search.calibrated_belief import CalibratedBelief
from defuse_engine.search.open_search import open_search
from defuse_engine.search.recipe import DEFAULT
from defuse_engine.search.seeds import Seeds
from defuse_engine.types import Misclassifications, concatenate

_SEEDS = 25_000
"""As many as an audit starts from: a second search still finds bugs around items that were not mined."""
_SEEDS_BESIDE_KNOWN = 8_000
"""Where the audit's own misclassifications, around all its seeds, are mined as well."""
_CANDIDATES = 200_000
"""About as many in all. With fewer seeds there are more around each, if the audit looked at more, too."""
_MOST_SAMPLES = 20_000
"""Of each classifier."""
_MOST_BYTES = 1 << 27
"""Of all images together."""


@dataclass(frozen=True)
class Miner:
    """Searches classifiers from the same seeds, with the same belief model."""

    run: Run
    seeds: Seeds
    """Those of the audit that people vouched for."""
    disputed: DisputedRegions
    belief_model: CalibratedBelief
    """Calibrated on the classifier under audit."""
    audit: AuditConfig
    """Of the search that found the regions."""
    known: Misclassifications | None
    """What that search found. None: the classifier under audit is searched again."""

    def mine(self, tuned: Classifier) -> LabeledSamples:
        """Return what the classifier under audit and `tuned` get wrong, with the labels of its seeds.

        What lies in a disputed region is left out.
        """
        train, original = self.run.inputs.dataset.train, self.run.inputs.classifier
        if len(self.seeds) == 0:
            return no_surroundings(train)
        searched = [tuned] if self.known is not None else [original, tuned]
        found = [self._search(one, number, len(searched)) for number, one in enumerate(searched)]
        if self.known is not None:
            found.insert(0, self.known[np.isin(self.known.seed_label, self.seeds.labels)])
        give_back()
        return concatenate([self._samples(part, _MOST_BYTES // len(found)) for part in found])

    def _search(self, classifier: Classifier, number: int, count: int) -> Misclassifications:
        seeds = self.seeds[: self._seed_count()]
        search = open_search(
            self.run,
            self._config(),
            DEFAULT,
            self.belief_model,
            classifier,
            stage="correct/mining",
            shown=False,
        )
        shards = range(search.shard_count(seeds))
        tally = partial(self._report, number * len(seeds), count * len(seeds))
        return concatenate([tried.found for tried in search.try_shards(seeds, shards, tally)])

    def _samples(self, found: Misclassifications, most_bytes: int) -> LabeledSamples:
        vouched = np.flatnonzero(~self.disputed.hold(found.codes, found.seed_label.astype(np.int64)))
        affordable = most_bytes // (4 * math.prod(self.run.inputs.dataset.image_shape))
        most = min(_MOST_SAMPLES, max(1, affordable))
        if len(vouched) > most:
            vouched = np.sort(self.run.generator("correct/mined").permutation(vouched)[:most])
        chosen = found[vouched]
        images = self.run.inputs.decoder(chosen.codes)
        read = self.belief_model.readers.probabilities(images)
        return LabeledSamples(images, chosen.seed_label.astype(np.int64), read)

    def _report(self, before: int, total: int, done: int) -> None:
        self.run.reporter.progress("correct", before + done, total, "seeds")

    def _seed_count(self) -> int:
        return min(len(self.seeds), _SEEDS if self.known is None else _SEEDS_BESIDE_KNOWN)

    def _config(self) -> AuditConfig:
        config = AuditConfig()
        least, seeds = config.candidates_per_seed, max(1, self._seed_count())
        candidates = max(least, min(self.audit.candidates_per_seed, _CANDIDATES // seeds))
        return replace(
            config, candidates_per_seed=candidates, kept_per_seed=max(least, self.audit.kept_per_seed)
        )

"""Mining: what a classifier still gets wrong near the audit's seeds, the hard part of the surroundings.

Fine-tuning on regions moves the boundary, and other places come to lie on its wrong side. A search of the
tuned classifier finds them. Those that are believed train it once more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.correction.disputed_regions import DisputedRegions
from defuse_engine.correction.labeled_regions import LabeledSamples
from defuse_engine.correction.surroundings import no_surroundings
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.run import Run
from defuse_engine.search.calibrated_belief import CalibratedBelief
from defuse_engine.search.open_search import open_search
from defuse_engine.search.recipe import DEFAULT
from defuse_engine.search.seeds import Seeds
from defuse_engine.types import concatenate

_SEEDS = 25_000
"""As many as an audit starts from: a second search still finds bugs around items that were not mined."""
_CANDIDATES = 200_000
"""About as many in all. With fewer seeds there are more around each, if the audit looked at more, too."""
_MOST_SAMPLES = 20_000


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

    def mine(self, classifiers: list[Classifier]) -> LabeledSamples:
        """Return the believed misclassifications of all classifiers, with the labels of their seeds.

        Those in a disputed region are left out.
        """
        inputs, config = self.run.inputs, self._config()
        seeds = self.seeds[:_SEEDS]
        if len(seeds) == 0:
            return no_surroundings(inputs.dataset.train)
        parts: list[LabeledSamples] = []
        for number, classifier in enumerate(classifiers):
            search = open_search(
                self.run, config, DEFAULT, self.belief_model, classifier, stage="correct/mining", shown=False
            )
            shards = range(search.shard_count(seeds))
            tally = partial(self._report, number * len(seeds), len(classifiers) * len(seeds))
            found = concatenate([tried.found for tried in search.try_shards(seeds, shards, tally)])
            vouched = np.flatnonzero(~self.disputed.hold(found.codes, found.seed_label.astype(np.int64)))
            found = found[vouched[:_MOST_SAMPLES]]
            parts.append(LabeledSamples(inputs.decoder(found.codes), found.seed_label.astype(np.int64)))
        mined = concatenate(parts)
        return replace(mined, read=self.belief_model.readers.probabilities(mined.images))

    def _report(self, before: int, total: int, done: int) -> None:
        self.run.reporter.progress("correct", before + done, total, "seeds")

    def _config(self) -> AuditConfig:
        config = AuditConfig()
        least, seeds = config.candidates_per_seed, max(1, min(len(self.seeds), _SEEDS))
        candidates = max(least, min(self.audit.candidates_per_seed, _CANDIDATES // seeds))
        return replace(
            config, candidates_per_seed=candidates, kept_per_seed=max(least, self.audit.kept_per_seed)
        )

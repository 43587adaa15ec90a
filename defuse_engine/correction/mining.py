"""What a classifier still gets wrong near the audit's seeds: the hard part of the surroundings.

Fine-tuning on regions moves the boundary, and other places lie on its wrong side now. A search of the tuned
classifier finds them; those that the judge believes train it once more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.correction.disputed_regions import DisputedRegions
from defuse_engine.correction.labeled_regions import LabeledSamples
from defuse_engine.inputs.loaded import Resources
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.search.open_search import open_search
from defuse_engine.search.belief import Judge
from defuse_engine.search.misclassification_rows import concatenate, select
from defuse_engine.search.seeds import Seeds
from defuse_engine.search.thresholds import Thresholds
from defuse_engine.types import Codes

_SEEDS = 25_000
"""As many as an audit starts from: what a second search still finds lies around items that were not mined."""
_CANDIDATES = 200_000
"""About as many in all: around fewer seeds more of each, if the audit looked at more, too."""
_MOST_SAMPLES = 20_000


@dataclass(frozen=True)
class Miner:
    """Searches classifiers from the same seeds, all judged alike."""

    resources: Resources
    codes: Codes
    """Of the train split."""
    seeds: Seeds
    """Of the audit, those that people vouched for: misclassifications of items of others stay out."""
    disputed: DisputedRegions
    judge: Judge
    """Calibrated on the classifier that came."""
    thresholds: Thresholds
    audit: AuditConfig
    """Of the search that found the regions."""
    seed: int
    reporter: Reporter

    def mine(self, classifiers: list[Classifier]) -> LabeledSamples:
        """What all classifiers misclassify, as far as it is believed, with the labels of its seeds.

        What lies in a disputed region is left out.
        """
        resources, config = self.resources, self._config()
        seeds = self.seeds[:_SEEDS]
        parts: list[LabeledSamples] = []
        for classifier in classifiers:
            search = open_search(
                resources,
                classifier,
                self.codes,
                self.judge,
                self.thresholds,
                config,
                self.seed,
                self.reporter,
                stage="correct/mining",
                grows=False,
            )
            shards = range(search.shard_count(seeds))
            if not shards:
                break
            found = concatenate([tried.found for tried in search.try_shards(seeds, shards)])
            vouched = np.flatnonzero(~self.disputed.hold(found.codes, found.seed_label.astype(np.int64)))
            found = select(found, vouched[:_MOST_SAMPLES])
            parts.append(LabeledSamples(resources.decoder(found.codes), found.seed_label.astype(np.int64)))
        images = np.concatenate([resources.dataset.train.images(slice(0, 0)), *(p.images for p in parts)])
        labels = np.concatenate([np.zeros(0, np.int64), *(part.labels for part in parts)])
        return LabeledSamples(images, labels, self.judge.witness.probabilities(images) if parts else None)

    def _config(self) -> AuditConfig:
        config = AuditConfig()
        least, seeds = config.candidates_per_seed, max(1, min(len(self.seeds), _SEEDS))
        candidates = max(least, min(self.audit.candidates_per_seed, _CANDIDATES // seeds))
        return replace(
            config, candidates_per_seed=candidates, kept_per_seed=max(least, self.audit.kept_per_seed)
        )

"""What a classifier still gets wrong near the audit's seeds: the hard part of the company.

Fine-tuning on regions moves the boundary, and other places lie on its wrong side now. A search of the tuned
classifier finds them; those that the judge believes train it once more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from defuse_engine.configs import AuditConfig
from defuse_engine.correction.company import NO_REGION
from defuse_engine.correction.disputed import DisputedRegions
from defuse_engine.correction.labeled_regions import RegionSamples
from defuse_engine.inputs.resources import Resources
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.models.onnx_model import Classifier
from defuse_engine.search.assembly import open_judge, open_search
from defuse_engine.search.found import concatenate, select
from defuse_engine.search.seeds import Seeds
from defuse_engine.types import Codes

_SEEDS = 25_000
"""As many as an audit starts from: what a second search still finds lies around items that were not mined."""
_CANDIDATES = 200_000
"""About as many in all: around fewer seeds more of each, if the audit looked at more, too."""
_MOST_SAMPLES = 20_000


@dataclass(frozen=True)
class Miner:
    """Searches classifiers from the same seeds, a judge calibrated on the one that came."""

    resources: Resources
    codes: Codes
    """Of the train split."""
    seeds: Seeds
    """Of the audit, those that people vouched for: misclassifications of items of others stay out."""
    disputed: DisputedRegions
    audit: AuditConfig
    """Of the search that found the regions."""
    seed: int
    reporter: Reporter

    def mine(self, classifiers: list[Classifier]) -> RegionSamples:
        """What all classifiers misclassify, as far as it is believed, with the labels of its seeds.

        What lies in a disputed region is left out.
        """
        resources, config = self.resources, self._config()
        judge, bars = open_judge(resources, self.codes, config, self.seed, self.reporter)
        seeds = self.seeds[:_SEEDS]
        parts: list[RegionSamples] = []
        for classifier in classifiers:
            search = open_search(
                resources,
                classifier,
                self.codes,
                judge,
                bars,
                config,
                self.seed,
                self.reporter,
                stage="correct/mining",
                grows=False,
            )
            shards = range(search.shard_count(seeds))
            if not shards:
                break
            found = concatenate([search.run_shard(seeds, shard).misclassifications for shard in shards])
            vouched = np.flatnonzero(~self.disputed.hold(found.codes, found.seed_label.astype(np.int64)))
            found = select(found, vouched[:_MOST_SAMPLES])
            parts.append(
                RegionSamples(
                    resources.decoder(found.codes),
                    found.seed_label.astype(np.int64),
                    np.full(len(found), NO_REGION, np.int64),
                )
            )
        return RegionSamples(
            np.concatenate([part.images for part in parts] or [resources.dataset.train.images(slice(0, 0))]),
            np.concatenate([part.labels for part in parts] or [np.zeros(0, np.int64)]),
            np.concatenate([part.regions for part in parts] or [np.zeros(0, np.int64)]),
        )

    def _config(self) -> AuditConfig:
        config = AuditConfig()
        least, seeds = config.candidates_per_seed, max(1, min(len(self.seeds), _SEEDS))
        candidates = max(least, min(self.audit.candidates_per_seed, _CANDIDATES // seeds))
        return replace(
            config, candidates_per_seed=candidates, kept_per_seed=max(least, self.audit.kept_per_seed)
        )

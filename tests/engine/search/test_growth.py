"""What is believed gets company."""

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig
from defuse_engine.search.growth import PER_CODE, grow

ONE_SHARD = {"shard_seeds": 3000}


def test_what_is_believed_gets_company_close_by(open_search):
    search, seeds = open_search(AuditConfig(**ONE_SHARD))
    found = search.try_shard(seeds, 0).chunk().misclassifications
    codes, rows = grow(found, search.scale, np.random.default_rng(0))
    # One parent for each seed and predicted class (here there is one class): the likeliest bug of the seed.
    parents = rows[::PER_CODE]
    assert sorted(found.seed_index[parents]) == sorted(set(found.seed_index))
    for parent in parents[::20]:
        siblings = found.seed_index == found.seed_index[parent]
        assert found.bug_probability[parent] == found.bug_probability[siblings].max()
    deltas = (codes - found.codes[rows]) / search.scale
    assert deltas.std(axis=0) == pytest.approx([1 / 3, 1 / 3], rel=0.05)


def test_nothing_grows_from_nothing(open_search):
    search, seeds = open_search(AuditConfig(**ONE_SHARD))
    nothing = search.try_shard(seeds, 0).chunk().misclassifications[np.zeros(0, np.int64)]
    codes, rows = grow(nothing, search.scale, np.random.default_rng(0))
    assert (codes.shape, rows.shape) == ((0, 2), (0,))


def test_growth_adds_finds_and_counts_its_candidates(open_search):
    config = AuditConfig(**ONE_SHARD)
    alone, seeds = open_search(config)
    growing, _ = open_search(config, name="growing", shown=True)
    before, after = alone.try_shard(seeds, 0).chunk(), growing.try_shard(seeds, 0).chunk()
    assert len(after.misclassifications) > 1.5 * len(before.misclassifications)
    parents = len(np.unique(before.misclassifications.seed_index))
    assert after.candidates == before.candidates + PER_CODE * parents

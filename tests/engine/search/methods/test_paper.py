"""`preset: paper` searches as it was published."""

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig, paper_config
from defuse_engine.search.methods.random_steps import paper_noise
from defuse_engine.search.seeds import Seeds


def test_paper_noise_is_beta_50_50_uncentred():
    config = paper_config()
    origin = Seeds(
        np.zeros((50, 16), np.float32), np.arange(50), np.zeros(50, np.uint8), np.zeros(50, np.int64)
    )
    proposals = paper_noise(config.candidates_per_seed).propose(
        origin, np.ones(50, bool), np.random.default_rng(0)
    )
    reference = np.random.default_rng(0).beta(50, 50, (50, 100, 16)).astype(np.float32)
    np.testing.assert_array_equal(proposals.codes.reshape(50, 100, 16), reference)
    assert proposals.tried.tolist() == [100] * 50
    assert proposals.codes.mean() == pytest.approx(0.5, abs=1e-3)
    assert proposals.codes.std() == pytest.approx(config.noise_scale, rel=0.02)


def test_paper_searches_from_every_seed_keeps_the_nearest_and_asks_nobody(open_search):
    config = paper_config()
    assert (config.candidates_per_seed, config.kept_per_seed) == (100, 5)
    search, seeds = open_search(config, shown=True)
    chunk = search.try_shard(seeds, 0).chunk()
    found = chunk.misclassifications
    assert (chunk.seeds, chunk.candidates) == (config.shard_seeds, 100 * config.shard_seeds)
    assert np.isnan(found.agreement).all()
    assert (found.bug_probability == 0).all()
    assert set(found.method) == {1}
    # z0 in (-0.5, 0) moves about 0.5 to the right, to where the seed's label is no longer the truth.
    assert (found.seed_label == 0).any()
    every, _ = open_search(AuditConfig(**{**vars(config), "kept_per_seed": 100}), name="every")
    known = every.try_shard(seeds, 0).chunk().misclassifications
    for item in np.unique(found.seed_index)[::50]:
        nearest = np.sort(known.delta_norm[known.seed_index == item])[:5]
        np.testing.assert_array_equal(np.sort(found.delta_norm[found.seed_index == item]), nearest)

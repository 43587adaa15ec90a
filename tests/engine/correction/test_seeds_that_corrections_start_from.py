"""What an evaluation searches from is fresh: a correction stepped from nothing of it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from defuse_engine.configs import AuditConfig, CorrectionConfig
from defuse_engine.correction import mining, sweep
from defuse_engine.random_streams import numpy_generator
from defuse_engine.search import identify
from defuse_engine.types import TRAIN

pytestmark = pytest.mark.usefixtures("quick_tuning")

AUDIT, AUDIT_SEED = {"max_seeds": 1500}, 5
STARTED_FROM_HALF = {"audit": AUDIT, "audit_seed": AUDIT_SEED}


def apart(graphs) -> dict[str, np.ndarray]:
    """The dataset with z1 < -1 of train items that the audit starts from, and z1 > 1 of all others."""
    arrays = graphs.dataset()
    items = len(arrays["x_train"])
    used = numpy_generator(AUDIT_SEED, "seeds").permutation(items)[: AUDIT["max_seeds"]]
    codes = arrays["x_train"].reshape(items, -1) @ graphs.basis
    codes[:, 1] = np.abs(codes[:, 1]) / 2 + 1
    codes[used, 1] *= -1
    arrays["x_train"] = (codes @ graphs.basis.T).reshape(arrays["x_train"].shape).astype(np.float32)
    return arrays


@pytest.fixture
def follow_up(follow_up, graphs):
    """Makes a job on two regions, of which one is labeled."""

    def make(kind, **config):
        return follow_up(
            kind,
            {"labels": [{"region": 0, "label": 1}], **config},
            files={"dataset.npz": apart(graphs)},
            means=[[0.25, 0.0], [0.25, -1.5]],
            variances=[[0.05, 1.0], [0.05, 0.04]],
            candidate=graphs.classifier(boundary=0.0) if kind == "evaluate" else None,
        )

    return make


@pytest.fixture
def pools(monkeypatch):
    """Every pool of samples that a fine-tuning got, the regions' first."""
    seen = []
    fine_tune = sweep.fine_tune

    def remember(model, tuning, *rest):
        # Stages without what was mined may come after those with it.
        seen[:] = max(seen, tuning.pools, key=len)
        return fine_tune(model, tuning, *rest)

    monkeypatch.setattr(sweep, "fine_tune", remember)
    return seen


@pytest.fixture
def starts(monkeypatch):
    """The seeds that searches started from."""
    seen = []
    try_shard = identify.Search.try_shard

    def remember(search, seeds, *rest):
        seen.append(seeds)
        return try_shard(search, seeds, *rest)

    monkeypatch.setattr(identify.Search, "try_shard", remember)
    return seen


def test_a_correction_steps_from_items_that_the_audit_started_from(follow_up, do_job, pools, starts, graphs):
    do_job(follow_up("correct", lambdas=[1.0], samples_per_region=40, **STARTED_FROM_HALF))
    _, surroundings, mined = pools
    for pool in (surroundings, mined):
        codes = pool.images.reshape(len(pool.images), -1) @ graphs.basis
        assert len(codes) > 100
        assert codes[:, 1].max() < 0.5
    assert all(seeds.codes[:, 1].max() < 0 for seeds in starts)


def test_nothing_is_vouched_for_where_people_saw_something_else(follow_up, do_job, pools, graphs):
    labels = [{"region": 0, "label": 1}, {"region": 1, "label": 0}]
    do_job(follow_up("correct", labels=labels, lambdas=[1.0], samples_per_region=40, **STARTED_FROM_HALF))
    regions, surroundings, mined = pools
    # As many of either region, in their order.
    assert [set(labels) for labels in np.split(regions.labels, 2)] == [{1}, {0}]
    for pool in (surroundings, mined):
        codes = pool.images.reshape(len(pool.images), -1)[pool.labels == 1] @ graphs.basis
        (below,) = np.nonzero((codes[:, 0] > 0) & (codes[:, 0] < 0.5))
        assert len(below) > 20
        offsets = codes - [0.25, -1.5]
        assert ((offsets**2 / [0.05, 0.04]).sum(axis=1) > 2.0 * (1 - 1e-3)).all()


def test_around_few_seeds_a_correction_looks_as_hard_as_the_audit_did(follow_up, do_job, monkeypatch):
    configs = []
    open_search = mining.open_search

    def remember(run, config, *rest, **options):
        configs.append(config)
        return open_search(run, config, *rest, **options)

    monkeypatch.setattr(mining, "open_search", remember)
    audit = {**AUDIT, "candidates_per_seed": 31, "kept_per_seed": 3}
    do_job(follow_up("correct", lambdas=[1.0], samples_per_region=40, audit=audit, audit_seed=AUDIT_SEED))
    assert [(config.candidates_per_seed, config.kept_per_seed) for config in configs] == [(31, 12)] * 2


def test_the_second_search_starts_from_none_of_them(follow_up, do_job, starts):
    do_job(follow_up("evaluate", **STARTED_FROM_HALF))
    (first, *_) = starts
    train = first.codes[first.split == TRAIN]
    assert len(train) > 100
    assert train[:, 1].min() > 0


def test_an_audit_that_started_from_every_item_leaves_them_all_to_the_correction(
    follow_up, do_job, pools, graphs
):
    do_job(follow_up("correct", lambdas=[1.0], samples_per_region=40))
    _, surroundings, _ = pools
    codes = surroundings.images.reshape(len(surroundings.images), -1) @ graphs.basis
    right_half = 1500
    assert len(codes) == pytest.approx(right_half, rel=0.1)
    assert codes[:, 1].max() > 1


def test_a_corrections_config_tells_which_audit_it_corrects():
    config = CorrectionConfig.from_json({"labels": [], "audit": {"preset": "paper"}, "audit_seed": 3})
    assert config.audit == AuditConfig.from_json({"preset": "paper"})
    assert CorrectionConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert CorrectionConfig.from_json({"labels": []}) == replace(config, audit=AuditConfig(), audit_seed=0)

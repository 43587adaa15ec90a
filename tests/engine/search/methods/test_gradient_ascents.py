"""Each search method alone and both together: what they propose, what it costs, and what grows from it."""

import copy

import numpy as np
import pytest
import torch

from defuse_engine.configs import AuditConfig
from defuse_engine.search.methods.gradient_ascents import GradientAscents, targets_for
from defuse_engine.search.seeds import Seeds

NUMBERS = {"paper": 1, "neighbourhood": 2, "gradient": 3}
ONE_SHARD = {"shard_seeds": 3000}


@pytest.fixture
def ascent(open_search):
    """The gradient method on the analytic models, with the seeds of the first search."""
    search, seeds = open_search(AuditConfig(methods=("gradient",), **ONE_SHARD))
    (method,) = search.methods
    assert isinstance(method, GradientAscents)
    return method, seeds, search.scale


def test_the_gradient_stays_in_its_trust_region_from_the_first_step_on(ascent):
    method, seeds, scale = ascent
    # With the wrong labels every code on the way is a misclassification, the random start too.
    swapped = Seeds(seeds.codes, seeds.index, seeds.split, 1 - seeds.labels)
    proposals = method.propose(swapped, np.ones(len(seeds), bool), np.random.default_rng(0))
    deltas = (proposals.codes - seeds.codes[proposals.seed_rows]) / scale
    assert len(proposals.codes) > len(seeds)
    assert np.sqrt(2) < np.linalg.norm(deltas, axis=1).max() <= 2 * np.sqrt(2) * (1 + 1e-4)


def test_the_gradient_walks_towards_the_boundary_and_stops_at_its_fourth_find(ascent, graphs):
    method, seeds, scale = ascent
    near = (seeds.codes[:, 0] > graphs.boundary) & (seeds.codes[:, 0] < graphs.boundary + scale[0])
    proposals = method.propose(seeds, near, np.random.default_rng(0))
    rows, counts = np.unique(proposals.seed_rows, return_counts=True)
    # Whatever its start: a boundary within the trust region is reached, but from a few that were given up.
    assert set(rows) <= set(np.flatnonzero(near))
    assert len(rows) > 0.98 * near.sum()
    assert counts.max() == 4
    # On a plane an ascent soon rests on the edge of its trust region, and ends there.
    assert counts.min() >= 1
    assert np.median(counts) == 4
    assert proposals.tried.sum() < 10 * near.sum()
    assert (proposals.tried[rows] >= counts).all()
    assert not proposals.tried[~near].any()


def test_the_gradient_looks_for_mistakes_that_still_show_the_seed_label(ascent, graphs):
    method, seeds, _ = ascent
    # All may walk beyond 0, where the truth changes: from there on the other class is no mistake.
    near = (seeds.codes[:, 0] > graphs.boundary) & (seeds.codes[:, 0] < graphs.boundary + 0.1)
    proposals = method.propose(seeds, near, np.random.default_rng(0))
    assert (proposals.codes[:, 0] > 0.0).mean() > 0.95
    # Without the guide they do.
    unguided = copy.copy(method._model)
    unguided._guide = lambda images: [torch.zeros(len(images), 2)]
    blind = GradientAscents(10, np.full(2, 0.5, np.float32), unguided, 256)
    assert (blind.propose(seeds, near, np.random.default_rng(0)).codes[:, 0] > 0.0).mean() < 0.8


def test_the_seeds_of_a_label_share_the_other_classes_by_what_is_likely():
    seen = [[0.9, 0.06, 0.03, 0.01], [0.9, 0.05, 0.04, 0.01], [0.9, 0.07, 0.02, 0.01]]
    likely = np.log(np.array(seen, np.float32))
    never = np.zeros((3, 4), np.int64)
    # Class 1 is the likeliest of all three; it goes to the one that would lose most by another.
    assert targets_for(likely, np.zeros(3, np.int64), never[:3]).tolist() == [3, 2, 1]
    # A single one takes the likeliest, and another label's seeds share by themselves.
    assert targets_for(likely[:2], np.array([0, 1]), never[:2]).tolist() == [1, 0]
    # What a seed aimed at before comes last, however likely it is.
    before = np.array([[0, 0, 0, 1], [0, 0, 1, 0], [0, 2, 1, 1]])
    assert targets_for(likely, np.zeros(3, np.int64), before).tolist() == [2, 1, 3]
    # What is no number is no target while there is another.
    broken = np.array([[0.0, -np.inf, -5.0], [0.0, -5.0, np.nan]], np.float32)
    assert targets_for(broken, np.zeros(2, np.int64), never[:2, :3]).tolist() == [2, 1]
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 200)
    targets = targets_for(rng.standard_normal((200, 5), np.float32), labels, np.zeros((200, 5), np.int64))
    for label in range(5):
        counts = np.bincount(targets[labels == label], minlength=5)
        assert counts[label] == 0
        assert counts.max() <= np.ceil((labels == label).sum() / 4)


def test_a_seed_of_many_candidates_ascends_again_from_elsewhere(ascent, graphs):
    method, seeds, scale = ascent
    near = (seeds.codes[:, 0] > graphs.boundary) & (seeds.codes[:, 0] < graphs.boundary + scale[0])
    once = method.propose(seeds, near, np.random.default_rng(0))
    often = GradientAscents(37, np.full(2, 0.5, np.float32), method._model, 256)
    thrice = often.propose(seeds, near, np.random.default_rng(0))
    assert thrice.tried.max() <= 37
    assert thrice.tried[near].mean() > 2.0 * once.tried[near].mean()
    # The ascents of a seed start elsewhere each: the codes where they end are others.
    assert len(np.unique(thrice.codes, axis=0)) > 2 * len(np.unique(once.codes, axis=0))


def test_what_is_drawn_does_not_depend_on_who_takes_part(ascent):
    method, seeds, _ = ascent
    every = method.propose(seeds, np.ones(len(seeds), bool), np.random.default_rng(0))
    some = np.arange(len(seeds)) % 3 == 0
    part = method.propose(seeds, some, np.random.default_rng(0))
    # Torch may round otherwise in a batch of another make-up.
    np.testing.assert_allclose(part.codes[:, 0].min(), every.codes[some[every.seed_rows], 0].min(), atol=1e-4)
    assert set(part.seed_rows) == set(every.seed_rows[some[every.seed_rows]])


SIZE = 16


@pytest.fixture
def wide(graphs):
    """The bug of the analytic models in a latent space of 16 coordinates, 15 of them narrow and beside it."""
    basis = np.linalg.qr(np.random.default_rng(8).standard_normal((SIZE, SIZE)))[0].astype(np.float32)
    rng = np.random.default_rng(4)
    dataset = {}
    for name, size in (("train", 3000), ("validation", 400), ("test", 100)):
        codes = rng.normal(0.0, 0.1, (size, SIZE)).astype(np.float32)
        codes[:, 0] = rng.uniform(-2.0, 2.0, size)
        dataset[f"x_{name}"] = (codes @ basis.T).reshape(-1, 1, 4, 4)
        dataset[f"y_{name}"] = (codes[:, 0] > 0).astype(np.int64)
    weights = np.stack([np.zeros(SIZE), 20.0 * basis[:, 0]], axis=1)
    item = (1, 4, 4)
    return {
        "classifier.onnx": graphs.linear(weights, [0.0, -20.0 * graphs.boundary], item=item),
        "encoder.onnx": graphs.linear(basis, np.zeros(SIZE), item=item, outputs=("mu", "logvar")),
        "decoder.onnx": graphs.decoder(matrix=basis, item=item),
        "dataset.npz": dataset,
    }


def test_in_many_coordinates_the_gradient_finds_more_bugs_per_candidate_than_chance(open_search, wide):
    def rate(name: str) -> tuple[float, float]:
        config = AuditConfig(methods=(name,), noise_scale=0.1, kept_per_seed=20, **ONE_SHARD)
        search, seeds = open_search(config, files=wide, name=name)
        chunk = search.try_shard(seeds, 0).chunk()
        seeds_with_a_bug = len(np.unique(chunk.misclassifications.seed_index))
        return len(chunk.misclassifications) / chunk.candidates, seeds_with_a_bug

    (by_chance, seeds_by_chance), (by_gradient, seeds_by_gradient) = rate("neighbourhood"), rate("gradient")
    assert by_gradient > 1.3 * by_chance
    assert seeds_by_gradient > 1.3 * seeds_by_chance


def test_what_ascents_remember_is_counted_with_the_seeds_of_a_batch(open_search):
    def of(batch_size):
        search, _ = open_search(AuditConfig(batch_size=batch_size), name=f"batch-{batch_size}")
        (gradient,) = [method for method in search.methods if method.name == "gradient"]
        return gradient.memory_bytes

    few, many = of(128), of(256)
    # The images alone have six values of two bytes at least.
    assert few >= 128 * 6 * 2
    assert many == 2 * few

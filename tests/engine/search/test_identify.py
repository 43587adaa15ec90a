"""The search finds what is there, as the closed form says, and finds the same twice."""

import math

import numpy as np
import pytest
import torch

from defuse_engine.configs import AuditConfig
from defuse_engine.job_folder.output_files import read_chunk, write_chunk
from defuse_engine.search.seeds import Seeds

RANDOM_STEPS = AuditConfig(methods=("neighbourhood",), shard_seeds=3000)


def test_every_misclassification_lies_in_the_stripe_that_the_classifier_gets_wrong(open_search, graphs):
    config = AuditConfig(shard_seeds=3000)
    search, seeds = open_search(config, shown=True)
    found = search.try_shard(seeds, 0).chunk().misclassifications
    stripe = found.codes[:, 0]
    assert len(found) > 100
    assert stripe.max() < graphs.boundary + 1e-4
    assert stripe.min() > 0.0
    assert set(found.seed_label) == {1}
    assert set(found.predicted_class) == {0}
    assert (found.agreement >= config.agreement_threshold).all()
    assert (found.bug_probability >= config.belief_threshold).all()
    assert (found.confidence > 0.5).all()


def test_the_rate_and_the_place_are_those_of_the_closed_form(open_search, graphs):
    # A candidate of a seed at distance d right of the boundary falls left of it with probability Q(d / s),
    # and then s phi(d / s) / Q(d / s) - d deep on average. So small steps hardly leave the stripe.
    config = AuditConfig(
        methods=("neighbourhood",),
        shard_seeds=3000,
        candidates_per_seed=60,
        kept_per_seed=60,
        noise_scale=0.1,
    )
    search, seeds = open_search(config)
    chunk = search.try_shard(seeds, 0).chunk()
    assert chunk.candidates == 60 * chunk.seeds
    # Noise is measured in the standard deviation of the train codes, 4 / sqrt(12) of a uniform z0.
    scale = float(search.scale[0])
    assert scale == pytest.approx(0.1 * 4 / math.sqrt(12), rel=0.05)
    distances = [float(z0) - graphs.boundary for z0 in seeds.codes[:, 0] if z0 > graphs.boundary]
    falls = [math.erfc(d / scale / math.sqrt(2)) / 2 for d in distances]
    depths = [scale * math.exp(-((d / scale) ** 2) / 2) / math.sqrt(2 * math.pi) for d in distances]
    sums = sum(depth - d * q for depth, d, q in zip(depths, distances, falls, strict=True))
    deep = sums / sum(falls)
    assert len(chunk.misclassifications) / chunk.candidates == pytest.approx(
        sum(falls) / chunk.seeds, rel=0.05
    )
    depth = graphs.boundary - chunk.misclassifications.codes[:, 0]
    assert depth.mean() == pytest.approx(deep, rel=0.05)


def test_noise_follows_the_spread_of_the_codes_in_each_coordinate(open_search, graphs):
    # The same data, its second coordinate ten times as narrow.
    dataset = graphs.dataset()
    for split in ("train", "validation", "test"):
        codes = dataset[f"x_{split}"].reshape(-1, 6) @ graphs.basis
        codes[:, 1] /= 10.0
        dataset[f"x_{split}"] = (codes @ graphs.basis.T).reshape(-1, *graphs.image_shape)
    search, seeds = open_search(RANDOM_STEPS, files={"dataset.npz": dataset})
    found = search.try_shard(seeds, 0).chunk().misclassifications
    moved = found.codes - seeds.codes[_rows(seeds, found.seed_index)]
    assert moved[:, 1].std() == pytest.approx(search.scale[1], rel=0.1)
    assert search.scale[0] > 8 * search.scale[1]


def test_only_seeds_that_the_classifier_reads_take_part(open_search):
    search, seeds = open_search(AuditConfig(shard_seeds=3000))
    readable = (seeds.codes[:, 0] <= 0) | (seeds.codes[:, 0] > 0.5)
    chunk = search.try_shard(seeds, 0).chunk()
    assert chunk.seeds == readable.sum()
    started = _rows(seeds, chunk.misclassifications.seed_index)
    assert readable[started].all()


def test_of_each_seed_the_likeliest_bugs_are_kept(open_search):
    few, seeds = open_search(AuditConfig(shard_seeds=3000, kept_per_seed=2))
    every, _ = open_search(AuditConfig(shard_seeds=3000, kept_per_seed=1000), name="every")
    found = few.try_shard(seeds, 0).chunk().misclassifications
    known = every.try_shard(seeds, 0).chunk().misclassifications
    items, counts = np.unique(found.seed_index, return_counts=True)
    assert counts.max() == 2
    for item in items[::10]:
        best = np.sort(known.bug_probability[known.seed_index == item])[::-1][:2]
        kept = np.sort(found.bug_probability[found.seed_index == item])[::-1]
        np.testing.assert_array_equal(kept, best)
    distances = np.linalg.norm(found.codes - seeds.codes[_rows(seeds, found.seed_index)], axis=1)
    np.testing.assert_allclose(found.delta_norm, distances, atol=1e-5)


def _rows(seeds: Seeds, index: np.ndarray) -> np.ndarray:
    """Where items of the split stand among the seeds, which are in a random order."""
    order = np.argsort(seeds.index)
    return order[np.searchsorted(seeds.index, index, sorter=order)]


def test_the_same_shard_gives_the_same_bytes_and_another_seed_others(open_search, tmp_path):
    search, seeds = open_search(shown=True)
    for name in ("first", "again"):
        write_chunk(tmp_path / f"{name}.npz", search.try_shard(seeds, 2).chunk())
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    other, _ = open_search(random_seed=2, name="other", shown=True)
    write_chunk(tmp_path / "other.npz", other.try_shard(seeds, 2).chunk())
    assert (tmp_path / "first.npz").read_bytes() != (tmp_path / "other.npz").read_bytes()


def test_shards_searched_side_by_side_are_those_searched_one_by_one(open_search, tmp_path):
    search, seeds = open_search(AuditConfig(shard_seeds=200), shown=True, threads=2)
    shards, heard = [5, 0, 3, 1], []
    for shard, tried in zip(shards, search.try_shards(seeds, shards, heard.append), strict=True):
        write_chunk(tmp_path / "beside.npz", tried.chunk())
        write_chunk(tmp_path / "alone.npz", search.try_shard(seeds, shard).chunk())
        assert len(tried.found) > 0
        assert (tmp_path / "beside.npz").read_bytes() == (tmp_path / "alone.npz").read_bytes()
    assert heard == sorted(heard)
    assert heard[-1] == 4 * 200


def test_a_chunk_reads_back_as_it_was_written(open_search, tmp_path):
    search, seeds = open_search()
    chunk = search.try_shard(seeds, 0).chunk()
    write_chunk(tmp_path / "chunk.npz", chunk)
    again = read_chunk(tmp_path / "chunk.npz")
    assert (again.candidates, again.seeds) == (chunk.candidates, chunk.seeds)
    for name, values in vars(chunk.misclassifications).items():
        np.testing.assert_array_equal(values, getattr(again.misclassifications, name))


def test_a_model_of_fixed_batch_finds_what_one_of_any_batch_finds(open_search, graphs):
    search, seeds = open_search(RANDOM_STEPS)
    fixed, _ = open_search(RANDOM_STEPS, files={"classifier.onnx": graphs.classifier(batch=7)}, name="fixed")
    expected = search.try_shard(seeds, 0).chunk().misclassifications
    found = fixed.try_shard(seeds, 0).chunk().misclassifications
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-5)
    np.testing.assert_allclose(found.bug_probability, expected.bug_probability, atol=1e-4)


def test_no_seed_found_readable_gives_an_empty_chunk(open_search, graphs):
    search, seeds = open_search(files={"classifier.onnx": graphs.classifier(sharpness=-20.0)}, shown=True)
    misread = seeds[np.abs(seeds.codes[:, 0]) > 0.6]
    chunk = search.try_shard(misread, 0).chunk()
    assert (len(chunk.misclassifications), chunk.candidates, chunk.seeds) == (0, 0, 0)
    assert chunk.misclassifications.codes.shape == (0, 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_a_gpu_finds_what_the_cpu_finds(open_search):
    search, seeds = open_search(RANDOM_STEPS)
    on_gpu, _ = open_search(RANDOM_STEPS, device="cuda:0", name="gpu")
    expected = search.try_shard(seeds, 0).chunk().misclassifications
    found = on_gpu.try_shard(seeds, 0).chunk().misclassifications
    shared = set(map(bytes, expected.codes)) & set(map(bytes, found.codes))
    # Candidates on the boundary may fall on either side of it.
    assert len(shared) > 0.99 * max(len(expected), len(found))

"""The search finds what is there, as the closed form says, and finds the same twice."""

import math

import numpy as np
import pytest
import torch

from defuse_engine import audit
from defuse_engine.configs import AuditConfig, paper_config
from defuse_engine.inputs.dataset import Split
from defuse_engine.inputs.resources import open_resources
from defuse_engine.job_folder.job_file import read_job
from defuse_engine.job_folder.output_files import read_chunk, write_chunk
from defuse_engine.models.device import open_runtime
from defuse_engine.search.identify import Search, choose_seeds, draw_deltas, smallest_per_seed
from defuse_engine.search.neighbourhood import Neighbourhood, encode_split
from defuse_engine.seeding import numpy_generator


@pytest.fixture
def open_search(make_job, reporter):
    """Open a search on the analytic models; returns it with its seeds."""

    def open_it(config=None, device="cpu", job_seed=1, **files):
        config = config or AuditConfig()
        inputs = read_job(make_job(**files)).inputs
        resources = open_resources(inputs, open_runtime(device, 1, config.batch_size))
        codes = encode_split(resources.encoder, resources.dataset.train, reporter)
        neighbourhood = audit.open_neighbourhood(resources, codes, config)
        seeds = audit.first_search_seeds(resources, codes, config, job_seed)
        return Search(resources.classifier, resources.decoder, neighbourhood, config, job_seed), seeds

    return open_it


def test_every_misclassification_lies_in_the_stripe_that_the_classifier_gets_wrong(open_search, graphs):
    search, seeds = open_search(AuditConfig(shard_seeds=3000))
    found = search.run_shard(seeds, 0).misclassifications
    stripe = found.codes[:, 0]
    assert len(found) > 100
    assert stripe.max() < graphs.boundary + 1e-4
    # 80% of 15 neighbours right of 0: a few codes may lie a neighbour's distance left of it.
    assert (stripe > -0.1).all()
    assert set(found.seed_label) == {1}
    assert set(found.predicted_class) == {0}
    assert (found.agreement >= 0.8).all()
    assert (found.confidence > 0.5).all()


def test_the_rate_and_the_place_are_those_of_the_closed_form(open_search, graphs):
    # A candidate of a seed at distance d right of the boundary falls left of it with probability Q(d / s),
    # and then s phi(d / s) / Q(d / s) - d deep on average.
    config = AuditConfig(shard_seeds=3000, candidates_per_seed=60, kept_per_seed=60)
    search, seeds = open_search(config)
    chunk = search.run_shard(seeds, 0)
    scale = config.noise_scale
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


def test_only_seeds_that_the_classifier_reads_take_part(open_search):
    search, seeds = open_search(AuditConfig(shard_seeds=3000))
    readable = (seeds.codes[:, 0] <= 0) | (seeds.codes[:, 0] > 0.5)
    assert search.run_shard(seeds, 0).seeds == readable.sum()


def test_at_most_the_nearest_n_of_a_seed_are_kept(open_search):
    config = AuditConfig(shard_seeds=3000, kept_per_seed=2)
    search, seeds = open_search(config)
    found = search.run_shard(seeds, 0).misclassifications
    _, counts = np.unique(found.seed_index, return_counts=True)
    assert counts.max() == 2
    positions = np.searchsorted(seeds.index, found.seed_index)
    distances = np.linalg.norm(found.codes - seeds.codes[positions], axis=1)
    np.testing.assert_allclose(found.delta_norm, distances, atol=1e-5)


def test_smallest_per_seed_takes_the_smallest_norms():
    seed_rows = np.array([0, 0, 0, 2, 2, 5])
    norms = np.array([3.0, 1.0, 2.0, 9.0, 8.0, 7.0], np.float32)
    assert smallest_per_seed(seed_rows, norms, 2).tolist() == [1, 2, 3, 4, 5]
    assert smallest_per_seed(seed_rows, norms, 1).tolist() == [1, 4, 5]
    assert smallest_per_seed(seed_rows[:0], norms[:0], 1).tolist() == []


def test_paper_noise_is_beta_50_50_uncentred():
    config = paper_config()
    deltas = draw_deltas(config, 50, 16, np.random.default_rng(0))
    assert deltas.shape == (50, 100, 16)
    assert deltas.dtype == np.float32
    reference = np.random.default_rng(0).beta(50, 50, (50, 100, 16)).astype(np.float32)
    np.testing.assert_array_equal(deltas, reference)
    assert deltas.mean() == pytest.approx(0.5, abs=1e-3)
    assert deltas.std() == pytest.approx(config.noise_scale, rel=0.02)


def test_paper_searches_from_every_seed_and_asks_no_neighbour(open_search):
    config = paper_config()
    assert (config.candidates_per_seed, config.kept_per_seed) == (100, 5)
    search, seeds = open_search(config)
    chunk = search.run_shard(seeds, 0)
    assert chunk.seeds == config.shard_seeds
    assert np.isnan(chunk.misclassifications.agreement).all()
    # z0 in (-0.5, 0) moves about 0.5 to the right, to where the seed's label is no longer the truth.
    walked = chunk.misclassifications.seed_label == 0
    assert walked.any()


def test_the_same_shard_gives_the_same_bytes_and_another_seed_others(open_search, tmp_path):
    search, seeds = open_search()
    for name in ("first", "again"):
        write_chunk(tmp_path / f"{name}.npz", search.run_shard(seeds, 2))
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    other, _ = open_search(job_seed=2, name="other")
    write_chunk(tmp_path / "other.npz", other.run_shard(seeds, 2))
    assert (tmp_path / "first.npz").read_bytes() != (tmp_path / "other.npz").read_bytes()


def test_a_chunk_reads_back_as_it_was_written(open_search, tmp_path):
    search, seeds = open_search()
    chunk = search.run_shard(seeds, 0)
    write_chunk(tmp_path / "chunk.npz", chunk)
    again = read_chunk(tmp_path / "chunk.npz")
    assert (again.candidates, again.seeds) == (chunk.candidates, chunk.seeds)
    for name, values in vars(chunk.misclassifications).items():
        np.testing.assert_array_equal(values, getattr(again.misclassifications, name))


def test_a_model_of_fixed_batch_finds_what_one_of_any_batch_finds(open_search, graphs):
    search, seeds = open_search()
    fixed, _ = open_search(files={"classifier.onnx": graphs.classifier(batch=7)}, name="fixed")
    expected = search.run_shard(seeds, 0).misclassifications
    found = fixed.run_shard(seeds, 0).misclassifications
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-5)


def test_no_seed_found_readable_gives_an_empty_chunk(open_search, graphs):
    search, seeds = open_search(files={"classifier.onnx": graphs.classifier(sharpness=-20.0)})
    misread = seeds[np.abs(seeds.codes[:, 0]) > 0.6]
    chunk = search.run_shard(misread, 0)
    assert (len(chunk.misclassifications), chunk.candidates, chunk.seeds) == (0, 0, 0)
    assert chunk.misclassifications.codes.shape == (0, 2)


def test_agreement_is_the_share_of_the_nearest_that_bear_the_label():
    codes = np.arange(10, dtype=np.float32)[:, None]
    labels = np.array([0] * 5 + [1] * 5)
    neighbourhood = Neighbourhood(codes, labels, 4, "cpu")
    asked = np.array([[0.0], [4.6], [9.0], [5.4]], np.float32)
    found = neighbourhood.agreement(asked, np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(found, [1.0, 0.5, 0.0, 0.75])


def test_seeds_are_a_random_choice_in_the_order_of_the_split():
    split = Split(np.zeros((3000, 1, 2, 3), np.float32), np.zeros(3000, np.int64))
    codes = np.zeros((len(split), 2), np.float32)
    chosen = choose_seeds(split, 0, codes, 100, numpy_generator(1, "seeds"))
    assert len(chosen) == 100
    assert (np.diff(chosen.index) > 0).all()
    everything = choose_seeds(split, 0, codes, 0, numpy_generator(1, "seeds"))
    assert len(everything) == len(split)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_a_gpu_finds_what_the_cpu_finds(open_search):
    search, seeds = open_search(AuditConfig(shard_seeds=3000))
    on_gpu, _ = open_search(AuditConfig(shard_seeds=3000), device="cuda:0", name="gpu")
    expected = search.run_shard(seeds, 0).misclassifications
    found = on_gpu.run_shard(seeds, 0).misclassifications
    shared = set(map(bytes, expected.codes)) & set(map(bytes, found.codes))
    # Candidates on the boundary may fall on either side of it.
    assert len(shared) > 0.99 * max(len(expected), len(found))

"""The neighbours of a code are found exactly, whatever the number and place of the codes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defuse_engine.search import neighbours
from defuse_engine.search.neighbours import Neighbours, neighbours_for
from defuse_engine.types import Codes


def distances_found(codes: Codes, asked: Codes, count: int) -> np.ndarray:
    """Distances of the neighbours that are found, ascending; codes are told by their row."""
    near = Neighbours(codes, np.arange(len(codes)), count, "cpu").labels_near(asked)
    # Nobody is found twice.
    assert all(len(set(row)) == len(row) for row in near)
    return np.sort(np.linalg.norm(asked[:, None].astype(np.float64) - codes[near], axis=2), axis=1)


def distances_by_brute_force(codes: Codes, asked: Codes, count: int) -> np.ndarray:
    every = np.linalg.norm(asked[:, None].astype(np.float64) - codes[None], axis=2)
    return np.sort(every, axis=1)[:, :count]


@settings(max_examples=60, deadline=None)
@given(
    items=st.integers(1, 300),
    count=st.integers(1, 60),
    latent_size=st.integers(1, 12),
    asked=st.integers(0, 20),
    seed=st.integers(0, 2**32 - 1),
    # Fewer distances at once than a single code has: every code is a batch of its own.
    at_once=st.sampled_from([1, 500, 1 << 22]),
)
def test_neighbours_are_those_of_brute_force(items, count, latent_size, asked, seed, at_once):
    rng = np.random.default_rng(seed)
    codes = rng.standard_normal((items, latent_size)).astype(np.float32)
    places = rng.standard_normal((asked, latent_size)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_DISTANCES_AT_ONCE", at_once)
        found = distances_found(codes, places, count)
    # With fewer codes than neighbours all of them are neighbours.
    assert found.shape == (asked, min(count, items))
    np.testing.assert_allclose(found, distances_by_brute_force(codes, places, count), atol=2e-3)


@pytest.mark.parametrize("items", [15, 16, 17, 63, 64, 65])
def test_neighbours_are_found_on_both_sides_of_a_blocks_edge(items):
    # In a row, so that the neighbours of most places lie in two blocks; the last block is filled up.
    codes = np.arange(items, dtype=np.float32)[:, None]
    places = codes + np.float32(0.25)
    np.testing.assert_allclose(
        distances_found(codes, places, 4), distances_by_brute_force(codes, places, 4), atol=1e-3
    )


def test_neighbours_far_from_the_origin_are_the_same():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((200, 8)).astype(np.float32)
    places = rng.standard_normal((20, 8)).astype(np.float32)
    far = np.float32(3000.0)
    np.testing.assert_allclose(
        distances_found(codes + far, places + far, 10),
        distances_by_brute_force(codes + far, places + far, 10),
        atol=2e-3,
    )


def test_labels_are_those_of_the_nearest():
    codes = np.arange(10, dtype=np.float32)[:, None]
    found = Neighbours(codes, np.array([0] * 5 + [1] * 5), 4, "cpu")
    near = found.labels_near(np.array([[0.0], [4.6], [9.0], [5.4]], np.float32))
    assert near.sum(axis=1).tolist() == [0, 2, 4, 3]


def test_identical_codes_are_neighbours_all():
    found = Neighbours(np.ones((50, 3), np.float32), np.arange(50) % 2, 10, "cpu")
    assert found.labels_near(np.ones((2, 3), np.float32)).shape == (2, 10)


def test_a_small_dataset_is_asked_for_fewer_neighbours():
    assert neighbours_for(40, 60_000, 10) == 40
    assert neighbours_for(40, 1_000, 10) == 10
    assert neighbours_for(40, 10, 10) == 5
    # What was asked for is never exceeded.
    assert neighbours_for(1, 60_000, 10) == 1

"""The nearest codes: those that sorting all distances would find."""

import numpy as np
import pytest

from defuse_engine.regions.nearest_codes import NearestCodes


@pytest.mark.parametrize("far", [0.0, 1e4])
def test_they_are_those_that_sorting_all_distances_finds(far):
    rng = np.random.default_rng(0)
    codes = (rng.standard_normal((3000, 8)) + far).astype(np.float32)
    for place in rng.standard_normal((20, 8)) + far:
        rows, distances = NearestCodes(codes).to(place, 16)
        exact = np.linalg.norm(codes.astype(np.float64) - place, axis=1)
        np.testing.assert_array_equal(rows, np.argsort(exact)[:16])
        np.testing.assert_allclose(distances, np.sort(exact)[:16], rtol=1e-3)


def test_more_than_there_are_gives_all_of_them():
    codes = np.array([[3.0], [1.0], [2.0]], np.float32)
    rows, distances = NearestCodes(codes).to(np.array([0.0]), 5)
    assert rows.tolist() == [1, 2, 0]
    assert distances.tolist() == [1.0, 2.0, 3.0]


def test_a_code_is_the_nearest_to_itself():
    codes = np.random.default_rng(1).standard_normal((500, 4)).astype(np.float32)
    rows, _ = NearestCodes(codes).to(codes[77], 3)
    assert rows[0] == 77

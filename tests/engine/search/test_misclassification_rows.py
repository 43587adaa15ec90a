"""Misclassifications as rows of arrays."""

import numpy as np

from defuse_engine.search.misclassification_rows import smallest_per_seed


def test_smallest_per_seed_takes_the_smallest_values():
    seed_rows = np.array([0, 0, 0, 2, 2, 5])
    values = np.array([3.0, 1.0, 2.0, 9.0, 8.0, 7.0], np.float32)
    assert smallest_per_seed(seed_rows, values, 2).tolist() == [1, 2, 3, 4, 5]
    assert smallest_per_seed(seed_rows, values, 1).tolist() == [1, 4, 5]
    assert smallest_per_seed(seed_rows[:0], values[:0], 1).tolist() == []
    # Seeds in any order; of equal values the first.
    assert smallest_per_seed(np.array([5, 0, 5, 0]), np.zeros(4), 1).tolist() == [0, 1]

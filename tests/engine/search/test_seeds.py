"""Seeds are a fair sample of the train split."""

import numpy as np

from defuse_engine.inputs.dataset import Split
from defuse_engine.random_streams import numpy_generator
from defuse_engine.search.seeds import choose_seeds, smallest_per_seed


def test_seeds_are_a_random_choice_in_a_random_order():
    split = Split(np.zeros((3000, 1, 2, 3), np.float32), np.arange(3000) % 2)
    codes = np.arange(6000, dtype=np.float32).reshape(3000, 2)
    chosen = choose_seeds(split, 0, codes, 100, numpy_generator(1, "seeds"))
    assert len(np.unique(chosen.index)) == len(chosen) == 100
    # A search that stops early has seen a fair sample: the first half is not the lower half.
    assert abs(chosen.index[:50].mean() - chosen.index[50:].mean()) < 600
    np.testing.assert_array_equal(chosen.codes, codes[chosen.index])
    np.testing.assert_array_equal(chosen.labels, chosen.index % 2)
    everything = choose_seeds(split, 0, codes, 0, numpy_generator(1, "seeds"))
    assert sorted(everything.index) == list(range(3000))


def test_smallest_per_seed_takes_the_smallest_values():
    seed_rows = np.array([0, 0, 0, 2, 2, 5])
    values = np.array([3.0, 1.0, 2.0, 9.0, 8.0, 7.0], np.float32)
    assert smallest_per_seed(seed_rows, values, 2).tolist() == [1, 2, 3, 4, 5]
    assert smallest_per_seed(seed_rows, values, 1).tolist() == [1, 4, 5]
    assert smallest_per_seed(seed_rows[:0], values[:0], 1).tolist() == []
    # Seeds in any order; of equal values the first.
    assert smallest_per_seed(np.array([5, 0, 5, 0]), np.zeros(4), 1).tolist() == [0, 1]

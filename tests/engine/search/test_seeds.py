"""Seeds are a fair sample of the train split."""

import numpy as np

from defuse_engine.inputs.dataset import Split
from defuse_engine.random_streams import numpy_generator
from defuse_engine.search.seeds import choose_seeds


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

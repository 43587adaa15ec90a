"""Items without NaN and infinite values."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float


def finite_items(values: Float[np.ndarray, "n ..."]) -> Bool[np.ndarray, " n"]:
    """Tell which of n items, of any shape, hold neither NaN nor infinite values."""
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    return np.asarray(np.isfinite(flat).all(axis=1))

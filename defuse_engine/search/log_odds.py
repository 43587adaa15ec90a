"""Log-odds that stay finite."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_LEAST_ODDS = 1e-3


def log_odds(probability: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the log-odds of probabilities in [0, 1], within -6.9 and 6.9."""
    return np.log((probability + _LEAST_ODDS) / (1.0 - probability + _LEAST_ODDS))

"""`regions.npz` is read strictly."""

import numpy as np
import pytest

from defuse_engine.errors import JobInvalid
from defuse_engine.regions.regions_file import read_regions


def test_regions_of_another_form_are_refused(tmp_path):
    path = tmp_path / "regions.npz"
    np.savez(path, weights=np.ones(2))
    with pytest.raises(JobInvalid, match=r"regions\.npz"):
        read_regions(path)

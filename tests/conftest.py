"""What tests of several packages share."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    """Makers of tiny ONNX files and datasets."""
    import tiny_models

    return tiny_models

"""What tests of several packages share."""

import signal
from types import ModuleType

import pytest
from jaxtyping import install_import_hook

# Shapes in signatures are checked wherever a test calls the engine in its own process.
install_import_hook("defuse_engine", "beartype.beartype")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background deaf to Ctrl-C; the tests' processes would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    """Makers of tiny ONNX files and datasets."""
    from tests.models import tiny_models

    return tiny_models


@pytest.fixture(scope="session")
def pictured_regions() -> ModuleType:
    """Publishes audits with pictures to label."""
    from tests import pictured_regions

    return pictured_regions

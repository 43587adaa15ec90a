"""What tests of several packages share."""

import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest
from jaxtyping import install_import_hook

sys.path.insert(0, str(Path(__file__).parent))
# Shapes in signatures are checked wherever a test calls the engine in its own process.
install_import_hook("defuse_engine", "beartype.beartype")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background deaf to Ctrl-C; the tests' processes would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


EXPENSIVE = (
    *("follow_up", "mlflow_server", "snapshots", "make_training"),
    *("do_job", "open_search", "gate_materials"),
)
"""Fixtures behind which a process makes something once, for tests of several files; the longest first.

For those of the engine it is trained networks.
"""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where pytest-xdist spreads the tests over processes, keep together those that share what is expensive.

    These are the users of one of the fixtures above, which start first, and the tests of each file.
    """

    def rank(item: pytest.Item) -> int:
        used = getattr(item, "fixturenames", ())
        return next((place for place, name in enumerate(EXPENSIVE) if name in used), len(EXPENSIVE))

    for item in items:
        shares = rank(item) < len(EXPENSIVE)
        group = EXPENSIVE[rank(item)] if shares else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=rank)


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    """Makers of tiny ONNX files and datasets."""
    import tiny_models

    return tiny_models


@pytest.fixture(scope="session")
def pictured_regions() -> ModuleType:
    """Publishes audits with pictures to label."""
    import pictured_regions

    return pictured_regions

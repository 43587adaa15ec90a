"""What tests of several packages share."""

import functools
import os
import re
import signal
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jaxtyping import install_import_hook

# Shapes in signatures are checked wherever a test calls the engine in its own process.
install_import_hook("defuse_engine", "beartype.beartype")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background deaf to Ctrl-C; the tests' processes would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Services that run side by side would look for a free port among the same few.
os.environ.setdefault("DEFUSE_METRICS_ADDRESS", "127.0.0.1:0")

REPOSITORY = Path(__file__).resolve().parents[1]


LONGEST_GROUPS = (
    "shared audit",
    "tests/engine/vae",
    "tests/engine/correction",
    "tests/e2e/test_demo.py",
    "tests/engine/search",
    "mlflow",
    "tests/server/worker/test_interruptions.py",
    "gate",
    "tests/e2e/test_gate_without_audit.py",
    "tests/engine/regions",
    "tests/server/worker/test_evaluations_without_audit.py",
    "tests/engine/test_not_finite.py",
)
"""Those that take a minute or longer. They start first, or the last of them would run alone at the end."""


@functools.cache
def process_group(path: str) -> str:
    """Name the tests that run in one process where pytest-xdist spreads them over several.

    They are those of a file, or of all files that share something expensive: these have a
    `pytest.mark.xdist_group("NAME")`. A folder of the engine's tests shares the networks that they train.
    """
    marked = re.search(r'xdist_group\("([^"]+)"\)', (REPOSITORY / path).read_text(encoding="utf-8"))
    if marked:
        return marked[1]
    folder = str(Path(path).parent)
    return folder if folder.startswith("tests/engine/") else path


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out whole groups: xdist's own --dist=loadgroup does nothing with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return process_group(file_of(nodeid))

    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest groups, then take the folders in turn.

    Some folders compute, some wait: side by side they use every core.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    turns = {group: place - len(LONGEST_GROUPS) for place, group in enumerate(LONGEST_GROUPS)}
    waiting: Counter[str] = Counter()
    for item in items:
        path = file_of(item.nodeid)
        if process_group(path) not in turns:
            folder = str(Path(path).parent)
            turns[process_group(path)] = waiting[folder]
            waiting[folder] += 1
    items.sort(key=lambda item: turns[process_group(file_of(item.nodeid))])


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

"""The tests' helper that makes audits with pictures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def pictured_regions() -> ModuleType:
    """Import `tests/pictured_regions.py`."""
    path = Path(__file__).parent.parent / "tests" / "pictured_regions.py"
    spec = importlib.util.spec_from_file_location("pictured_regions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look up their own module there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module

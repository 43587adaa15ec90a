"""The code version of a verdict: the distribution's version, and a digest of the sources that decide."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_DISTRIBUTION: Final = "defuse-audit"
_DIGITS: Final = 12


@cache
def own_code_version() -> str:
    """Return a version such as "0.1.0+3f9a1c2b7d44", or an empty text if the engine is not installed.

    The sources are read and never imported: this process must not load the engine.
    """
    engine = find_spec("defuse_engine")
    if engine is None or not engine.submodule_search_locations:
        return ""
    (folder, *_) = engine.submodule_search_locations
    digest = hashlib.sha256()
    for name, sources in (("engine", Path(folder)), ("gate", Path(__file__).parents[1] / "gate")):
        for file in sorted(sources.rglob("*.py")):
            path = f"{name}/{file.relative_to(sources).as_posix()}"
            # Each part has a fixed length, so no two sets of files have the same digest.
            digest.update(hashlib.sha256(path.encode()).digest())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{_distribution_version()}+{digest.hexdigest()[:_DIGITS]}"


def _distribution_version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        # Running from a folder of sources: their digest identifies them.
        return "0"

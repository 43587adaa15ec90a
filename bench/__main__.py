"""`python -m bench [NAME] [--device cpu|auto|cuda:N]`: runs one benchmark or all."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

FOLDER = Path(__file__).parent
RESULTS = FOLDER.parent / "out" / "bench"


def benchmark_names() -> list[str]:
    """Return the names of all benchmarks: the files of this folder without a leading underscore."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def run(name: str, device: str) -> dict[str, object]:
    """Run one benchmark, keep its figures under out/bench, and print them as one line of JSON."""
    print(f"== {name}", flush=True)
    figures: dict[str, object] = {"benchmark": name, **importlib.import_module(f"bench.{name}").run(device)}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures), flush=True)
    return figures


def main() -> None:
    """Run the benchmarks that the command line names."""
    names = benchmark_names()
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("name", nargs="?", choices=names, help="default: all")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    for name in [options.name] if options.name else names:
        run(name, options.device)


if __name__ == "__main__":
    main()

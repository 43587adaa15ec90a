"""Prints each package's loose modules, and which of its children import each other in a circle.

Run `.venv/bin/python scripts/layout.py`. `make lint` enforces the layers; this shows the shape behind them.
"""

from itertools import product

import grimp
import networkx

PACKAGES = ("defuse", "defuse_engine", "defuse_server")


def circles(package: str, graph: grimp.ImportGraph) -> list[list[str]]:
    """Return groups of the package's children that import each other, directly or through others."""
    children = graph.find_children(package)
    parts = {child: {child, *graph.find_descendants(child)} for child in children}
    arrows = networkx.DiGraph()
    for importer, imported in product(children, children):
        if importer != imported and any(
            graph.find_modules_directly_imported_by(module) & parts[imported] for module in parts[importer]
        ):
            arrows.add_edge(importer, imported)
    return [sorted(group) for group in networkx.strongly_connected_components(arrows) if len(group) > 1]


def main() -> None:
    """Print one block per package."""
    for package in PACKAGES:
        graph = grimp.build_graph(package)
        children = graph.find_children(package)
        loose = sorted(child for child in children if not graph.find_children(child))
        found = circles(package, graph)
        print(f"{package}: {len(children) - len(loose)} subpackages, {len(loose)} loose modules")
        print("  loose:", ", ".join(module.removeprefix(f"{package}.") for module in loose) or "none")
        print("  circles:", "; ".join(" <-> ".join(group) for group in found) or "none")


main()

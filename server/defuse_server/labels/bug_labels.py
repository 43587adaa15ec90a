"""What the label of a bug says of its cells."""

from collections.abc import Iterable, Mapping

from defuse.v1.audit_service_pb2 import REGION_STATE_LABELED, Bug

from defuse_server.labels.hypergeometric import most_marked
from defuse_server.labels.region_label import NOT_OPENED, RegionLabel
from defuse_server.names import FIRST_BUG, parse_bug_name, region_number


def labeled_cells(bug: Bug, label: RegionLabel) -> list[str]:
    """Return the cells that take the label of a bug; none if it has no class label.

    The readers assessed every cell before it was shown: they see the seeds' label there. If the annotators
    see it in samples of some cells, three kinds of witnesses agree, and all cells take it. If the annotators
    see another class, the readers are wrong about this bug, so only the cells that were looked at take it.
    """
    if label.state != REGION_STATE_LABELED or label.label is None:
        return []
    if label.label == bug.seed_label:
        return list(bug.cells)
    shown = set(bug.shown_cells)
    return [cell for cell in bug.cells if cell in shown]


def purity_bound(bug: Bug, label: RegionLabel) -> float:
    """Return the share of a bug's cells that bear its label at least, 0..1; 0 without the label of its seeds.

    People saw the label in every cell that was shown. Of a sample without replacement the number of cells
    that bear another label is hypergeometric, so the bound holds with 95%. The sheet shows the samples that
    differ most, so what it leaves out is rather more alike.
    """
    if label.state != REGION_STATE_LABELED or label.label != bug.seed_label or not bug.cells:
        return 0.0
    shown = len(set(bug.shown_cells).intersection(bug.cells))
    return 1.0 - most_marked(0, len(bug.cells), shown) / len(bug.cells)


def region_labels(tasks: Mapping[int, RegionLabel], bugs: Iterable[Bug]) -> dict[int, RegionLabel]:
    """Return the states of regions, from those of the tasks: a region without a task has its latest bug's.

    A cell that does not take its bug's label is unlabeled. While a bug is open, so are its cells.
    """
    found = {number: label for number, label in tasks.items() if number < FIRST_BUG}
    for bug in sorted(bugs, key=lambda bug: parse_bug_name(bug.name)[1]):
        label = tasks.get(FIRST_BUG + parse_bug_name(bug.name)[1], NOT_OPENED)
        takes = set(labeled_cells(bug, label))
        for cell in bug.cells:
            if (number := region_number(cell)) not in tasks:
                keeps = cell in takes or label.state != REGION_STATE_LABELED
                found[number] = label if keeps else NOT_OPENED
    return found

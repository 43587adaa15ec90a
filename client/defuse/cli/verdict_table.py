"""An evaluation's verdict for people: what failed, by how much, and what would make it pass."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.table import Table
from rich.text import Text

from defuse.cli.output import people, share, write_facts
from defuse.messages import Check, Evaluation, Verdict

EXIT_CODES = {Verdict.VERDICT_PASS: 0, Verdict.VERDICT_FAIL: 1, Verdict.VERDICT_INCONCLUSIVE: 2}
EXPLAINED_MAX = 20
"""Checks that are explained one by one; the reports explain all."""
_UNFOLDED_MAX = 3
"""So many passing checks of one name are shown one by one."""
_COLUMNS = ("verdict", "check", "of", "value", "interval", "bound", "misses by")
_STYLES = {Verdict.VERDICT_PASS: "green", Verdict.VERDICT_FAIL: "bold red"}
_ORDER = {Verdict.VERDICT_FAIL: 0, Verdict.VERDICT_PASS: 2}


def write_evaluation(evaluation: Evaluation) -> None:
    """Write the checks, those that do not pass first and explained, and what was judged."""
    if evaluation.checks:
        _write_checks(evaluation)
        people.print()
    accuracy = f"{share(evaluation.test_accuracy_before)} to {share(evaluation.test_accuracy_after)}"
    write_facts(
        [
            ("name", evaluation.name),
            ("audit", evaluation.audit),
            ("baseline", evaluation.baseline_sha256 and f"sha256 {evaluation.baseline_sha256}"),
            ("candidate", evaluation.candidate_sha256 and f"sha256 {evaluation.candidate_sha256}"),
            ("policy", evaluation.policy_sha256 and f"sha256 {evaluation.policy_sha256}"),
            ("test accuracy", accuracy if evaluation.checks else ""),
        ]
        + [("warning", printable(f"{one.reason}: {one.message}")) for one in evaluation.warnings]
        + [("verdict", verdict_name(evaluation.verdict) if evaluation.checks else "")]
    )


def verdict_name(verdict: Verdict) -> str:
    """`PASS` of VERDICT_PASS; a number for one that this client does not know."""
    number = int(verdict)
    return Verdict.Name(verdict).removeprefix("VERDICT_") if number in Verdict.values() else str(number)


def printable(text: str) -> str:
    """The text in one line, without what moves a terminal's cursor: names come from elsewhere."""
    return "".join(character if character.isprintable() else " " for character in text)


def _write_checks(evaluation: Evaluation) -> None:
    against = [check for check in evaluation.checks if check.verdict != Verdict.VERDICT_PASS]
    against.sort(key=lambda check: (_ORDER.get(check.verdict, 1), -_miss(check)))
    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, no_wrap=column == "verdict")
    for check in against:
        _add(table, check.verdict, _cells(check, evaluation))
    for cells in _passing(evaluation):
        _add(table, Verdict.VERDICT_PASS, cells)
    people.print(table)
    for check in against[:EXPLAINED_MAX]:
        _explain(check, evaluation)
    if len(against) > EXPLAINED_MAX:
        people.print(f"\n{len(against) - EXPLAINED_MAX} more do not pass; --report writes them all")


def _explain(check: Check, evaluation: Evaluation) -> None:
    about = f"{check.check}, {_subject(check, evaluation)}" if check.subject else check.check
    people.print()
    people.print(_said(f"{verdict_name(check.verdict)} {about}", _STYLES.get(check.verdict, "bold yellow")))
    for lead, text in (("", check.explanation), ("To pass: ", check.remedy)):
        if text:
            people.print(_said(f"  {lead}{text}"))


def _add(table: Table, verdict: Verdict, cells: Sequence[str]) -> None:
    style = _STYLES.get(verdict, "bold yellow")
    table.add_row(_said(verdict_name(verdict), style), *(_said(cell) for cell in cells))


def _said(text: str, style: str = "") -> Text:
    # A Text, as brackets in a name are no markup.
    return Text(printable(text), style)


def _passing(evaluation: Evaluation) -> list[Sequence[str]]:
    """Rows of the checks that pass; many of one name are one."""
    passed = [check for check in evaluation.checks if check.verdict == Verdict.VERDICT_PASS]
    rows: list[Sequence[str]] = []
    for name, group in groupby(passed, key=lambda check: check.check):
        family = list(group)
        if len(family) <= _UNFOLDED_MAX:
            rows += [_cells(check, evaluation) for check in family]
            continue
        values = [check.value for check in family]
        bounds = {_bound(check) for check in family}
        bound = bounds.pop() if len(bounds) == 1 else ""
        rows.append((name, f"{len(family)} that pass", _range(min(values), max(values)), "", bound, ""))
    return rows


def _cells(check: Check, evaluation: Evaluation) -> Sequence[str]:
    interval = _range(check.interval.lower, check.interval.upper) if check.HasField("interval") else ""
    miss = f"{_miss(check):.4g}" if _miss(check) > 0 and check.verdict != Verdict.VERDICT_PASS else ""
    return (
        check.check,
        _subject(check, evaluation),
        f"{check.value:.4g}",
        interval,
        _bound(check),
        miss,
    )


def _subject(check: Check, evaluation: Evaluation) -> str:
    """A region by its number, its label and what the baseline reads there; anything else as it is."""
    found = next((region for region in evaluation.regions if region.region == check.subject), None)
    if found is None:
        return check.subject
    number = check.subject.rpartition("/")[2]
    return f"region {number} (class {found.label}, read as {found.predicted_class})"


def _range(low: float, high: float) -> str:
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def _bound(check: Check) -> str:
    return f"{'>=' if check.at_least else '<='} {check.bound:.4g}"


def _miss(check: Check) -> float:
    return check.bound - check.value if check.at_least else check.value - check.bound

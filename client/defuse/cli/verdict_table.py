"""An evaluation's verdict as text: what failed, by how much, and what would make it pass."""

from collections.abc import Sequence
from itertools import groupby

from rich.table import Table
from rich.text import Text

from defuse._enum_name import enum_name
from defuse.cli.figures import number, share
from defuse.cli.output import print_lines, stdout, write_facts
from defuse.cli.progress import state_of
from defuse.frozen_labels import label_set, unsettled
from defuse.messages import Check, Evaluation, Verdict

EXIT_CODES = {Verdict.VERDICT_PASS: 0, Verdict.VERDICT_FAIL: 1, Verdict.VERDICT_INCONCLUSIVE: 2}
EXPLAINED_MAX = 20
"""How many checks are explained one by one; the reports explain all of them."""
_UNFOLDED_MAX = 3
"""How many passing checks of one name are shown one by one."""
_COLUMNS = ("verdict", "check", "of", "value", "interval", "bound", "misses by")
_STYLES = {Verdict.VERDICT_PASS: "green", Verdict.VERDICT_FAIL: "bold red"}
_ORDER = {Verdict.VERDICT_FAIL: 0, Verdict.VERDICT_PASS: 2}


def write_evaluation(evaluation: Evaluation) -> None:
    """Write the checks and what was evaluated. Checks that do not pass come first and are explained."""
    if evaluation.checks:
        _write_checks(evaluation)
        stdout.print()
    accuracy = f"{share(evaluation.test_accuracy_before)} to {share(evaluation.test_accuracy_after)}"
    write_facts(
        ("name", evaluation.name),
        ("display name", printable(evaluation.display_name)),
        ("state", "" if evaluation.checks else state_of(evaluation)),
        ("failure", printable(evaluation.failure.message)),
        ("audit", evaluation.audit),
        ("baseline", evaluation.baseline_sha256 and f"sha256 {evaluation.baseline_sha256}"),
        ("candidate", evaluation.candidate_sha256 and f"sha256 {evaluation.candidate_sha256}"),
        ("policy", evaluation.policy_sha256 and f"sha256 {evaluation.policy_sha256}"),
        ("labels", label_set(evaluation.labeling.labeled_region_count, evaluation.label_set_digest)),
        ("not in the labels", unsettled(evaluation.labeling)),
        ("bugs labeled by verified proposals", evaluation.labeling.proposal_count or None),
        ("labels not believed", ", ".join(evaluation.labeling.contradicting)),
        ("test accuracy", accuracy if evaluation.checks else ""),
        *[("warning", printable(f"{one.reason}: {one.message}")) for one in evaluation.warnings],
        ("verdict", enum_name(Verdict, evaluation.verdict) if evaluation.checks else ""),
    )


def printable(text: str) -> str:
    """Return the text in one line and without control characters: names come from other people."""
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
    print_lines(table)
    for check in against[:EXPLAINED_MAX]:
        _explain(check, evaluation)
    if len(against) > EXPLAINED_MAX:
        stdout.print(
            f"\n{len(against) - EXPLAINED_MAX} more checks do not pass; --report explains all of them"
        )


def _explain(check: Check, evaluation: Evaluation) -> None:
    about = f"{check.check}, {_subject(check, evaluation)}" if check.subject else check.check
    stdout.print()
    stdout.print(
        _as_text(f"{enum_name(Verdict, check.verdict)} {about}", _STYLES.get(check.verdict, "bold yellow"))
    )
    for lead, text in (("", check.explanation), ("To pass: ", check.remedy)):
        if text:
            stdout.print(_as_text(f"  {lead}{text}"))


def _add(table: Table, verdict: Verdict, cells: Sequence[str]) -> None:
    style = _STYLES.get(verdict, "bold yellow")
    table.add_row(_as_text(enum_name(Verdict, verdict), style), *(_as_text(cell) for cell in cells))


def _as_text(text: str, style: str = "") -> Text:
    # A Text, because brackets in a name are not markup.
    return Text(printable(text), style)


def _passing(evaluation: Evaluation) -> list[Sequence[str]]:
    """Return the rows of the checks that pass; many checks of one name share a row."""
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
    miss = number(_miss(check)) if _miss(check) > 0 and check.verdict != Verdict.VERDICT_PASS else ""
    return (
        check.check,
        _subject(check, evaluation),
        number(check.value),
        interval,
        _bound(check),
        miss,
    )


def _subject(check: Check, evaluation: Evaluation) -> str:
    """Return a region as its number, its label and the baseline's prediction; anything else as it is."""
    found = next((region for region in evaluation.regions if region.region == check.subject), None)
    if found is None:
        return check.subject
    number = check.subject.rpartition("/")[2]
    return f"region {number} (class {found.label}, read as {found.predicted_class})"


def _range(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _bound(check: Check) -> str:
    return f"{'>=' if check.at_least else '<='} {number(check.bound)}"


def _miss(check: Check) -> float:
    return check.bound - check.value if check.at_least else check.value - check.bound

"""An evaluation's verdict as text: what failed, by how much, and what would make it pass."""

from collections.abc import Sequence
from itertools import groupby

from rich.table import Table
from rich.text import Text

from defuse._enum_name import enum_name
from defuse.cli.audit_text import class_names as class_names_of
from defuse.cli.figures import number, share
from defuse.cli.output import print_lines, stdout, write_facts
from defuse.cli.progress import state_of
from defuse.client import Client
from defuse.errors import DefuseError
from defuse.frozen_labels import label_set, unsettled
from defuse.messages import Check, Evaluation, Verdict

EXIT_CODES = {Verdict.VERDICT_PASS: 0, Verdict.VERDICT_FAIL: 1, Verdict.VERDICT_INCONCLUSIVE: 2}
_UNFOLDED_MAX = 3
"""How many checks of one name and verdict are shown one by one. Of those that do not pass, the first is
explained; the reports explain all."""
_COLUMNS = ("verdict", "check", "of", "value", "interval", "bound", "misses by")
_STYLES = {Verdict.VERDICT_PASS: "green", Verdict.VERDICT_FAIL: "bold red"}
_ORDER = {Verdict.VERDICT_FAIL: 0, Verdict.VERDICT_PASS: 2}


def write_evaluation(evaluation: Evaluation, class_names: Sequence[str] = ()) -> None:
    """Write the checks and what was evaluated. Checks that do not pass come first and are explained.

    Without names, classes are numbers.
    """
    if evaluation.checks:
        _write_checks(evaluation, class_names)
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


def evaluated_classes(client: Client, evaluation: Evaluation) -> Sequence[str]:
    """Return the names of the classes of an evaluation; none if the service can't tell them now.

    A verdict must not depend on them.
    """
    if not evaluation.checks:
        return ()
    try:
        return class_names_of(client, evaluation.audit)
    except DefuseError:
        return ()


def _write_checks(evaluation: Evaluation, names: Sequence[str]) -> None:
    families = _against(evaluation)
    stdout.print(_as_text(_headline(evaluation, families, names)))
    stdout.print()
    table = Table(box=None, pad_edge=False)
    for column in _COLUMNS:
        table.add_column(column, no_wrap=column == "verdict")
    for family in families:
        for check in family[:_UNFOLDED_MAX]:
            _add(table, check.verdict, _cells(check, evaluation, names))
        if more := family[_UNFOLDED_MAX:]:
            _add(table, more[0].verdict, _folded(more, f"{len(more)} more"))
    for cells in _passing(evaluation, names):
        _add(table, Verdict.VERDICT_PASS, cells)
    print_lines(table)
    for family in families:
        _explain(family[0], evaluation, names)
    if unexplained := sum(len(family) - 1 for family in families):
        stdout.print(f"\n{unexplained} more of these checks do not pass; --report explains all of them")


def _against(evaluation: Evaluation) -> list[list[Check]]:
    """Return the checks that do not pass by verdict and name. Those that miss most come first."""
    against = [check for check in evaluation.checks if check.verdict != Verdict.VERDICT_PASS]
    against.sort(key=lambda check: (_ORDER.get(check.verdict, 1), -_miss(check)))
    families: dict[tuple[Verdict.ValueType, str], list[Check]] = {}
    for check in against:
        families.setdefault((check.verdict, check.check), []).append(check)
    return list(families.values())


def _headline(evaluation: Evaluation, families: Sequence[Sequence[Check]], names: Sequence[str]) -> str:
    """Return the verdict and what stands against it; of a PASS, the class that loses most."""
    verdict = enum_name(Verdict, evaluation.verdict)
    if families:
        counts = (f"{family[0].check}{f' ({len(family)})' * (len(family) > 1)}" for family in families)
        return f"{verdict}: these checks do not pass: {', '.join(counts)}"
    losses = [(one.accuracy_after - one.accuracy_before, one.label) for one in evaluation.classes]
    change, label = min(losses, default=(0.0, 0))
    loss = f", but class {_named(label, names)} loses {-100 * change:.1f} points" if change < 0 else ""
    return f"{verdict}: all {len(evaluation.checks)} checks pass{loss}"


def _explain(check: Check, evaluation: Evaluation, names: Sequence[str]) -> None:
    about = f"{check.check}, {_subject(check, evaluation, names)}" if check.subject else check.check
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


def _passing(evaluation: Evaluation, names: Sequence[str]) -> list[Sequence[str]]:
    """Return the rows of the checks that pass; many checks of one name share a row."""
    passed = [check for check in evaluation.checks if check.verdict == Verdict.VERDICT_PASS]
    rows: list[Sequence[str]] = []
    for _, group in groupby(passed, key=lambda check: check.check):
        family = list(group)
        if len(family) <= _UNFOLDED_MAX:
            rows += [_cells(check, evaluation, names) for check in family]
            continue
        rows.append(_folded(family, f"{len(family)} that pass"))
    return rows


def _folded(family: Sequence[Check], told: str) -> Sequence[str]:
    """Return one row for several checks of one name."""
    values, bounds = [check.value for check in family], {_bound(check) for check in family}
    bound = bounds.pop() if len(bounds) == 1 else ""
    return (family[0].check, told, _range(min(values), max(values)), "", bound, "")


def _cells(check: Check, evaluation: Evaluation, names: Sequence[str]) -> Sequence[str]:
    interval = _range(check.interval.lower, check.interval.upper) if check.HasField("interval") else ""
    miss = number(_miss(check)) if _miss(check) > 0 and check.verdict != Verdict.VERDICT_PASS else ""
    return (
        check.check,
        _subject(check, evaluation, names),
        number(check.value),
        interval,
        _bound(check),
        miss,
    )


def _subject(check: Check, evaluation: Evaluation, names: Sequence[str]) -> str:
    """Return a region as its number, its label and the baseline's prediction, or a class with its name.

    Anything else stays as it is.
    """
    kind, _, rest = check.subject.partition(" ")
    if kind == "class" and rest.isdecimal():
        return f"class {_named(int(rest), names)}"
    found = next((region for region in evaluation.regions if region.region == check.subject), None)
    if found is None:
        return check.subject
    number = check.subject.rpartition("/")[2]
    shows, read = (_named(label, names) for label in (found.label, found.predicted_class))
    return f"region {number} (class {shows}, read as {read})"


def _named(label: int, names: Sequence[str]) -> str:
    return f'{label} "{names[label]}"' if label < len(names) else str(label)


def _range(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def _bound(check: Check) -> str:
    return f"{'>=' if check.at_least else '<='} {number(check.bound)}"


def _miss(check: Check) -> float:
    return check.bound - check.value if check.at_least else check.value - check.bound

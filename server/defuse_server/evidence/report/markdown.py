"""The report in Markdown, short enough for a comment on a pull request."""

import re
import unicodedata
from pathlib import Path
from typing import Any, Final, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from defuse_server.evidence.materials import Materials
from defuse_server.evidence.report import facts, regions
from defuse_server.presentation import checks
from defuse_server.presentation.formatting import count, per_million, percent, share_of_all
from defuse_server.presentation.lambda_curve import points_by_lambda

BYTES_MAX: Final = 60_000
_ROWS: Final = (24, 12, 6, 3, 1)
"""Rows of a table: the first number with which the report is short enough."""
_TEXT_CHARACTERS: Final = 500
_NAME_CHARACTERS: Final = 60
_MEANING: Final = re.compile(r"([\\`*_\[\]<>|~&$])")
_ZERO_WIDTH: Final = "\N{ZERO WIDTH SPACE}"
_LIVELY: Final = re.compile(r"(@|#|:(?=//)|\bwww(?=\.))")
"""Characters that a forge turns into a mention, a reference or a link."""


class Written(str):
    """Markdown, in contrast to text that is not escaped yet."""


def markdown_report(materials: Materials) -> bytes:
    """Return the report in at most `BYTES_MAX` bytes."""
    report = b""
    for rows in _ROWS:
        report = _rendered(materials, rows).encode()
        if len(report) <= BYTES_MAX:
            break
    return report


def _rendered(materials: Materials, rows: int) -> str:
    evaluation, names = materials.evaluation, materials.dataset.class_names
    verdict, _, answer = facts.headline(materials)
    shown, others = regions.cards(materials)
    return _ENVIRONMENT.get_template("report.md").render(
        evaluation=evaluation,
        verdict=verdict,
        answer=Written(answer.format(**{k: code(name) for k, name in facts.model_names(materials).items()})),
        not_passing=checks.not_passing(evaluation, names),
        passing=checks.folded(evaluation, names),
        labels_used=facts.labels_used(evaluation),
        figures=facts.figures(materials),
        classes=facts.classes(materials),
        cards=sorted([*shown, *others], key=lambda card: -card.region.harm.value),
        confusions=facts.confusions(materials),
        points=points_by_lambda(materials.correction) if materials.correction else [],
        correction=materials.correction,
        digests=facts.digests(materials),
        rows=rows,
    )


def text(value: object) -> str:
    """Return a value as one line of limited length, escaped for Markdown."""
    if isinstance(value, Written):
        return value
    flat = _flat(str(value), _TEXT_CHARACTERS)
    return _LIVELY.sub(lambda found: found[0] + _ZERO_WIDTH, _MEANING.sub(r"\\\1", flat))


def code(name: object) -> Written:
    """Return a name as code, in which a forge finds neither mentions nor links."""
    flat = _flat(str(name), _NAME_CHARACTERS).strip().replace("`", "'").replace("|", "¦")
    return Written(f"`{flat}`" if flat else "")


def _flat(value: str, most: int) -> str:
    printable = "".join(
        " " if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") else character
        for character in value[: 4 * most]
    )
    return printable if len(printable) <= most else printable[: most - 1] + "…"


# Autoescape would write HTML: `text` escapes every expression instead.
_ENVIRONMENT: Final = Environment(  # noqa: S701
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    finalize=text,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters.update(code=code, per_million=per_million, percent=percent, number=checks.number)
_ENVIRONMENT.filters["share_of_all"] = share_of_all
cast("dict[str, Any]", _ENVIRONMENT.globals)["count"] = count

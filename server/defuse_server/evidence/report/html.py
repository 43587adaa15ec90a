"""The report as one HTML file that needs no other file: no script, no request, pictures inside."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import defuse_server
from defuse_server.evidence.materials import Materials
from defuse_server.evidence.report import facts, regions
from defuse_server.presentation import checks
from defuse_server.presentation.jinja_environment import environment
from defuse_server.presentation.lambda_curve import curves

CLASSES_SHOWN: Final = 30
CARDS_SHOWN: Final = 6
NOT_PASSING_SHOWN: Final = 20
CONFUSED_SHOWN: Final = 12
"""Most classes on one side of the confusion matrix. With more, the report lists pairs."""
_TEMPLATES: Final = Path(__file__).parent / "templates"
_PAGES: Final = Path(defuse_server.__file__).parent / "web" / "static" / "style.css"


def html_report(materials: Materials, verdict: Mapping[str, Any], key_id: str) -> bytes:
    """Return the report. `verdict` is the signed document; `key_id` is empty without a key."""
    evaluation, names = materials.evaluation, materials.dataset.class_names
    said, tone, answer = facts.headline(materials)
    shown, others = regions.cards(materials)
    page = _ENVIRONMENT.get_template("report.html").render(
        materials=materials,
        evaluation=evaluation,
        verdict=said,
        tone=tone,
        answer=answer.format(**facts.model_names(materials)),
        not_passing=checks.not_passing(evaluation, names),
        not_passing_shown=NOT_PASSING_SHOWN,
        folded=checks.folded(evaluation, names),
        passing=checks.passing(evaluation, names),
        labels_used=facts.labels_used(evaluation),
        figures=facts.figures(materials),
        classes=facts.classes(materials),
        classes_shown=CLASSES_SHOWN,
        cards=shown,
        cards_shown=CARDS_SHOWN,
        rows=others,
        confusions=facts.confusions(materials),
        matrix=_matrix(facts.confusions(materials)),
        curves=curves(materials.correction) if materials.correction else [],
        digests=facts.digests(materials),
        policy=evaluation.policy,
        key_id=key_id,
        times=verdict["evaluation"],
        style=style(),
        style_digest=b64encode(hashlib.sha256(style().encode()).digest()).decode(),
    )
    return page.encode()


@cache
def style() -> str:
    """Return the stylesheet of the pages, and that of the report."""
    return f"{_PAGES.read_text()}\n{(_TEMPLATES / 'report.css').read_text()}"


def _matrix(confusions: list[facts.Confusion]) -> dict[str, Any] | None:
    """Return rows, columns, and cells by (label, predicted class), or None if too large or empty."""
    rows = {one.label: one.shows for one in confusions}
    columns = {one.predicted_class: one.read_as for one in confusions}
    if not confusions or max(len(rows), len(columns)) > CONFUSED_SHOWN:
        return None
    return {
        "rows": sorted(rows.items()),
        "columns": sorted(columns.items()),
        "cells": {(one.label, one.predicted_class): one for one in confusions},
    }


_ENVIRONMENT: Final = environment(_TEMPLATES)

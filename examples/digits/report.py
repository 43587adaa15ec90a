"""Writes the demo's report: one HTML file with what was found, what was changed and what the gate says."""

from __future__ import annotations

import html
import re
from pathlib import Path
from string import Template

from defuse.messages import Check

from examples.digits.curve import Line, curve_svg
from examples.digits.region_card import region_card
from examples.digits.story import Story, percent, points, verdict_name

TEMPLATE = Path(__file__).with_name("report_template.html")
TONES = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "open"}
CHECK_NAMES = {
    "clean_accuracy_change": "Test accuracy, after minus before",
    "class_accuracy_change": "Test accuracy, after minus before",
    "region_accuracy": "Accuracy on fresh samples",
    "second_search": "Misclassifications per candidate in a second search, after over before",
    "unlabeled_regions": "Regions without a label",
    "audit_age": "Days since the audit",
}


def write_report(story: Story, path: Path) -> None:
    """Render the story into one file that needs no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        verdict=story.verdict,
        verdict_tone=TONES[story.verdict],
        headline=html.escape(story.headline()),
        subline=html.escape(_subline(story)),
        figures=_figures(story),
        regions_intro=html.escape(_regions_intro(story)),
        regions="".join(region_card(story, region) for region in story.regions),
        curve_intro=html.escape(_curve_intro(story)),
        curves=_curves(story),
        checks_intro=html.escape(_checks_intro(story)),
        checks="".join(_check_row(check) for check in (story.evaluation.checks if story.evaluation else [])),
        provenance=_provenance(story),
        footer=html.escape(_footer(story)),
    )
    path.write_text(page, encoding="utf-8")


def _subline(story: Story) -> str:
    audit = story.audit
    return (
        f"The audited classifier is right on {percent(story.test_accuracy_before)} of the test split. A "
        f"search around {audit.seed_count:,} of the digits that it learned from tried "
        f"{audit.candidate_count:,} new ones and kept {audit.misclassification_count:,} that it gets wrong. "
        f"The whole run took {story.seconds:.0f} s, training included."
    )


def _figures(story: Story) -> str:
    evaluation = story.evaluation
    if evaluation is None:
        return _figure_row("Accuracy on the test split", percent(story.test_accuracy_before), "", "")
    region_before, region_after = story.region_accuracy()
    second = evaluation.second_search
    rate_before = 1000 * second.misclassifications_before / max(second.candidates_before, 1)
    rate_after = 1000 * second.misclassifications_after / max(second.candidates_after, 1)
    rows = [
        _accuracy_row(
            f"Accuracy on the test split, {evaluation.test_size} digits",
            evaluation.test_accuracy_before,
            evaluation.test_accuracy_after,
        ),
        _accuracy_row(
            f"Accuracy on fresh samples of the {len(evaluation.regions)} labeled regions",
            region_before,
            region_after,
        ),
        _figure_row(
            "Misclassifications per 1,000 candidates, second search",
            f"{rate_before:.2f}",
            f"{rate_after:.2f}",
            f"{(rate_after / rate_before - 1):+.0%}" if rate_before else "",
        ),
    ]
    return "".join(rows)


def _accuracy_row(name: str, before: float, after: float) -> str:
    return _figure_row(name, percent(before), percent(after), points(after - before))


def _figure_row(name: str, *figures: str) -> str:
    cells = "".join(f'<td class="number">{html.escape(figure)}</td>' for figure in figures)
    return f"<tr><th>{html.escape(name)}</th>{cells}</tr>"


def _regions_intro(story: Story) -> str:
    return (
        f"{len(story.regions)} regions of the VAE's latent space, of which {story.confirmed_bugs} are "
        f"confirmed bugs: what the samples show is not what the classifier reads. Each region got one label. "
        f"The bars give the share of fresh samples that get the label, before and after the correction."
    )


def _curve_intro(story: Story) -> str:
    if story.correction is None:
        return "Nothing was corrected."
    return (
        "Fine-tuning minimises the loss on the train split plus λ times the loss on the labeled regions. "
        "Each λ was measured on the validation split and on region samples kept out of training. Filled: the "
        "λ that was chosen. Dashed: the classifier before."
    )


def _curves(story: Story) -> str:
    correction = story.correction
    if correction is None:
        return ""
    lines = (
        Line("Accuracy on region samples", "region_accuracy"),
        Line("Accuracy on the validation split", "validation_accuracy"),
    )
    figures = ((line.title, curve_svg(line, correction.baseline, correction.curve)) for line in lines)
    return "".join(
        f'<figure class="card"><figcaption>{title}</figcaption>{svg}</figure>' for title, svg in figures
    )


def _checks_intro(story: Story) -> str:
    if story.evaluation is None:
        return "No evaluation was made."
    return (
        f"By the policy in examples/digits/gate.yaml (SHA-256 {story.evaluation.policy_sha256[:12]}). A "
        f"check passes where its whole interval is on the right side of the bound; one that fails makes the "
        f"verdict FAIL. All samples are fresh, and the second search starts from digits that the first did "
        f"not start from."
    )


def _check_row(check: Check) -> str:
    verdict = verdict_name(check.verdict)
    sign = "≥" if check.at_least else "≤"
    name = CHECK_NAMES.get(check.check, check.check)
    if check.subject:
        name += f", {re.sub('^audits/.*/regions/', 'region ', check.subject)}"
    interval = (
        f"{check.interval.lower:.3f} to {check.interval.upper:.3f}" if check.HasField("interval") else ""
    )
    title = f"{check.explanation} {check.remedy}".strip()
    return (
        f'<tr title="{html.escape(title)}"><th>{html.escape(name)}</th>'
        f'<td class="number">{check.value:.3f}</td><td class="number">{interval}</td>'
        f'<td class="number">{html.escape(sign)} {check.bound:.3f}</td>'
        f'<td><span class="badge {TONES.get(verdict, "open")}">{verdict}</span></td></tr>'
    )


def _provenance(story: Story) -> str:
    audit, correction, evaluation = story.audit, story.correction, story.evaluation
    config = audit.config
    rows = [
        (
            "Readability of the VAE",
            f"{audit.preflight.readability:.3f}: accuracy on reconstructions over accuracy on originals",
        ),
        (
            "Search",
            f"{config.candidates_per_seed} candidates a seed, noise {config.noise_scale:g}",
        ),
        ("Device", audit.progress.device),
    ]
    if correction is not None and evaluation is not None:
        rows += [
            (
                "Checked",
                f"{percent(story.test_accuracy_after)} of test by onnxruntime alone, on the downloaded file",
            ),
            ("Classifier before", f"sha256:{evaluation.baseline_sha256}"),
            ("Classifier after", f"sha256:{evaluation.candidate_sha256}"),
            ("Dataset", f"sha256:{evaluation.dataset_sha256}"),
            ("Labels", f"sha256:{correction.label_set_digest}"),
        ]
    return "".join(_provenance_row(name, value) for name, value in rows)


def _provenance_row(name: str, value: str) -> str:
    text = html.escape(value)
    cell = f"<code>{text}</code>" if value.startswith("sha256:") else text
    return f"<tr><th>{html.escape(name)}</th><td>{cell}</td></tr>"


def _footer(story: Story) -> str:
    return (
        f"The labels come from a stand-in for people: networks of their own training that are right on "
        f"{percent(story.stand_in_test_accuracy)} of the test split. They saw the pictures above, "
        f"and neither the predictions nor the seeds' labels."
    )

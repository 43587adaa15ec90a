"""Draws one region: its samples, its mistake, its figures."""

from __future__ import annotations

import base64
import html

from defuse.messages import Region, RegionAccuracy, RegionState

from examples.digits.story import Story, percent


def region_card(story: Story, region: Region) -> str:
    """One article of the report."""
    number = html.escape(region.name.rsplit("/", 1)[-1])
    picture = base64.b64encode(story.sheets[region.sheet.artifact]).decode("ascii")
    return (
        f'<article class="card region"><header><h3>Region {number}</h3>{_badge(region)}</header>'
        f'<p class="mistake">{html.escape(_mistake(story, region))}</p>'
        f'<img src="data:image/png;base64,{picture}" alt="{region.sheet.count} samples of region {number}">'
        f"{_facts(story, region)}{_bars(story, region)}</article>"
    )


def _badge(region: Region) -> str:
    if region.confirmed:
        return '<span class="badge bad">confirmed bug</span>'
    text = "no bug" if region.state == RegionState.REGION_STATE_LABELED else _state_name(region)
    return f'<span class="badge open">{text}</span>'


def _state_name(region: Region) -> str:
    return RegionState.Name(region.state).removeprefix("REGION_STATE_").replace("_", " ").lower()


def _mistake(story: Story, region: Region) -> str:
    predicted = story.class_names[region.predicted_class]
    if region.state != RegionState.REGION_STATE_LABELED:
        return f"The classifier reads {predicted}; the samples got no label: {_state_name(region)}."
    label = story.class_names[region.label]
    if region.confirmed:
        return f"These show {label}; the classifier reads {predicted}."
    return f"These show {label}, as the classifier reads."


def _facts(story: Story, region: Region) -> str:
    rate = region.misclassification_rate
    labeled = region.state == RegionState.REGION_STATE_LABELED
    facts = [
        ("Label", story.class_names[region.label] if labeled else _state_name(region)),
        ("Prediction", f"{story.class_names[region.predicted_class]}, {percent(region.confidence)} sure"),
        ("Seeds' label", story.class_names[region.seed_label]),
        ("Fresh samples wrong", percent(rate.value)),
        ("95% interval", f"{percent(rate.lower)} to {percent(rate.upper)}"),
        ("Misclassifications in it", f"{region.size:,}"),
    ]
    return (
        "<dl>" + "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in facts) + "</dl>"
    )


def _bars(story: Story, region: Region) -> str:
    measured: list[RegionAccuracy] = list(story.evaluation.regions) if story.evaluation else []
    found = next((entry for entry in measured if entry.region == region.name), None)
    if found is None:
        return ""
    shares = (("before", found.accuracy_before), ("after", found.accuracy_after))
    bars = "".join(
        f'<div class="{when}"><span>{when}</span><i><b style="width:{share:.1%}"></b></i>'
        f"<span>{percent(share)}</span></div>"
        for when, share in shares
    )
    return f'<div class="bars">{bars}</div>'

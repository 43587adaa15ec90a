"""The dashboard and the alerts of deploy/ ask for what a running service really exports."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import promql_parser as promql
import pytest
import yaml
from defuse.v1.audit_service_pb2 import ListAuditsRequest
from defuse.v1.audit_service_pb2_grpc import AuditServiceStub

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
BOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
RULES = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"][0]["rules"]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
QUERIES += [rule["expr"] for rule in RULES]

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
ADDED = {"le", "instance", "job"}
"""Labels that histograms and Prometheus add."""


def nodes(query: Any) -> Iterator[Any]:
    """Yield all parts of a parsed query."""
    yield query
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        part = getattr(query, name, None)
        if part is not None and not isinstance(part, str):
            yield from nodes(part)
    for part in getattr(query, "args", ()):
        yield from nodes(part)


def selectors(query: str) -> list[Any]:
    return [node for node in nodes(promql.parse(query)) if isinstance(node, promql.VectorSelector)]


def grouped(query: str) -> set[str]:
    """The labels by which a query groups or joins."""
    modifiers = [getattr(node, "modifier", None) for node in nodes(promql.parse(query))]
    return {label for modifier in modifiers for label in getattr(modifier, "labels", None) or ()}


@pytest.fixture
async def exported(service, scrape) -> dict[str, dict[str, set[str]]]:
    """Each name that `up` and its worker export, with the values of each of its labels."""
    address, pages = await asyncio.to_thread(service.start, "up")
    urls = await asyncio.to_thread(service.urls, 2)
    async with grpc.aio.insecure_channel(address) as channel:
        await AuditServiceStub(channel).ListAudits(ListAuditsRequest())
    await asyncio.to_thread(lambda: urllib.request.urlopen(f"{pages}/audits").close())
    found: dict[str, dict[str, set[str]]] = {}
    for url in urls:
        metrics = await asyncio.to_thread(scrape, url)
        for family in metrics.families:
            for suffix in SUFFIXES[family.type]:
                found.setdefault(family.name.removesuffix("_total") + suffix, {})
        for sample in metrics.samples:
            for label, value in sample.labels.items():
                found[sample.name].setdefault(label, set()).add(value)
    return found


async def test_every_query_is_of_what_a_running_service_exports(exported):
    codes = {code.name for code in grpc.StatusCode}
    for query in QUERIES:
        labels = set(ADDED)
        for selector in selectors(query):
            assert selector.name in exported, query
            known = exported[selector.name]
            labels |= set(known)
            for matcher in selector.matchers.matchers:
                assert matcher.name in known, query
                if matcher.name in ("kind", "of", "reason", "code"):
                    values = known[matcher.name] | (codes if matcher.name == "code" else set())
                    assert set(matcher.value.split("|")) <= values, query
        if all(exported[selector.name] for selector in selectors(query)):
            assert grouped(query) <= labels, query


async def test_the_dashboard_shows_every_metric_of_ours(exported):
    asked = {selector.name for query in QUERIES for selector in selectors(query)}
    unused = {name for name in exported if name.startswith("defuse_") and name not in asked}
    assert {name for name in unused if not name.endswith(("_sum", "_count", "_bucket"))} == set()


def test_the_panels_fit_the_screen_and_name_what_they_show():
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert place["x"] + place["w"] <= 24
    for panel in PANELS:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"


def test_every_alert_says_how_bad_it_is_and_what_to_do():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["description"].endswith(".")
        assert rule["alert"].startswith("Defuse")

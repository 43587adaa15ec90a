"""The pages for those who run audits."""

from __future__ import annotations

import html
import math
import random
import uuid
from typing import Any

import numpy as np
import pytest
from defuse.v1 import models_pb2
from defuse.v1.audit_service_pb2 import Audit, Bug, PreflightFigures, Region
from defuse.v1.correction_service_pb2 import Correction, CorrectionPoint
from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict
from defuse.v1.models_pb2 import Interval, JobState
from defuse.v1.promotion_service_pb2 import (
    Check,
    Evaluation,
    LabelingFigures,
    RegionAccuracy,
    Verdict,
)
from defuse.v1.registry_service_pb2 import Dataset
from defuse_server import redis_keys
from defuse_server.backend import Backend
from defuse_server.names import FIRST_BUG
from defuse_server.presentation.lambda_curve import curves
from defuse_server.records.creation import NewResource
from defuse_server.web.audits.latent_map import COLOURS, HEIGHT, WIDTH, latent_map, project


async def put(backend: Backend, message: Any, state: int, *references: str) -> Any:
    made, _ = await backend.resources.create(
        NewResource(message, str(uuid.uuid4()), b"", references=references)
    )
    await backend.redis.hset(redis_keys.resource(made.name), "state", state)
    return made


async def test_the_list_says_what_to_do_where_there_is_none(browse: Any) -> None:
    assert "defuse audit start" in (await (await browse()).get("/audits")).text


async def test_the_list_follows_what_runs(browse: Any, backend: Backend) -> None:
    dataset, _ = await backend.resources.create(NewResource(Dataset(), str(uuid.uuid4()), b""))
    audit = await put(
        backend, Audit(dataset=dataset.name, display_name="<i>new</i>"), JobState.JOB_STATE_RUNNING
    )
    browser = await browse()
    shown = (await browser.get("/audits")).text
    assert "&lt;i&gt;new&lt;/i&gt;" in shown
    assert 'hx-trigger="every 2s"' in shown
    live = await browser.get(f"/{audit.name}/live")
    assert "running" in live.text
    assert "hx-refresh" not in live.headers
    await backend.redis.hset(redis_keys.resource(audit.name), "state", JobState.JOB_STATE_FAILED)
    assert (await browser.get(f"/{audit.name}/live")).headers["hx-refresh"] == "true"
    assert 'hx-trigger="every 10s"' in (await browser.get("/audits/rows")).text


@pytest.mark.parametrize("summary", ["Independent readers still read 64% (61% to 67%).", ""])
async def test_an_audits_page_says_who_reads_the_reconstructions(
    browse: Any, backend: Backend, summary: str
) -> None:
    """A record of an older server has the figure alone."""
    dataset, _ = await backend.resources.create(NewResource(Dataset(), str(uuid.uuid4()), b""))
    figures = PreflightFigures(readability=0.64, classifier_accuracy=0.9, readability_summary=summary)
    audit = await put(backend, Audit(dataset=dataset.name, preflight=figures), JobState.JOB_STATE_RUNNING)
    shown = (await (await browse()).get(f"/{audit.name}")).text
    assert "<dt>Readable after the VAE</dt><dd>64\N{NARROW NO-BREAK SPACE}%</dd>" in shown
    assert ("Independent readers" in shown) == bool(summary)
    assert summary in shown


@pytest.fixture
async def audit_with_bugs(publish: Any, backend: Backend) -> str:
    """Its name. Of its two bugs, each of two regions, the first has a label."""
    audit = await publish([3, 3, 4, 4])
    for number in range(2):
        cells = [f"{audit}/regions/{cell}" for cell in (2 * number, 2 * number + 1)]
        bug = Bug(name=f"{audit}/bugs/{number}", cells=cells, shown_cells=cells, seed_label=3 + number)
        bug.predicted_class, bug.label_probability, bug.harm.value = 9, 0.8, 0.01
        bug.sheet.CopyFrom((await backend.regions.get(cells[0])).sheet)
        await backend.redis.hset(redis_keys.bugs(audit), str(number), bug.SerializeToString())
    await backend.labels.open(audit, [FIRST_BUG, FIRST_BUG + 1], 1)
    for task in await backend.labels.lease(audit, "ann", 10, 60):
        if task.region == f"{audit}/bugs/0":
            await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=3), "")
        else:
            await backend.labels.release(task.region, task.lease_token)
    return audit


async def test_an_audits_page_says_whether_to_go_on_labeling(
    browse: Any, audit_with_bugs: str, backend: Backend
) -> None:
    outlook = (await backend.labeling.report(audit_with_bugs)).outlook
    assert outlook.sentence.startswith("Go on: the next answer is expected to correct a further 4")
    shown = (await (await browse()).get(f"/{audit_with_bugs}")).text
    assert html.escape(outlook.sentence) in shown
    assert "Left for a second search, estimated</dt><dd>50\N{NARROW NO-BREAK SPACE}%" in shown


async def test_the_label_page_gives_the_same_advice(
    browse: Any, audit_with_bugs: str, backend: Backend
) -> None:
    browser = await browse("ben")
    await browser.open(audit_with_bugs)
    told = (await browser.post(audit_with_bugs, "tasks", {"held": [], "want": 1})).json()
    assert told["advice"] == (await backend.labeling.report(audit_with_bugs)).outlook.sentence


async def test_bugs_whose_verified_proposal_is_used_say_so(
    browse: Any, publish: Any, backend: Backend
) -> None:
    audit = await publish([3] * 40)
    for number in range(40):
        cells = [f"{audit}/regions/{number}"]
        bug = Bug(name=f"{audit}/bugs/{number}", cells=cells, shown_cells=cells, seed_label=3)
        bug.predicted_class, bug.label_probability, bug.harm.value = 4, 0.95, 0.001
        await backend.redis.hset(redis_keys.bugs(audit), str(number), bug.SerializeToString())
    await backend.labels.open(audit, range(FIRST_BUG, FIRST_BUG + 40), 1)
    page = f"/{audit}"
    assert "verified proposal</span>" not in (await (await browse()).get(page)).text
    missing = (await backend.labeling.proposals(audit)).verification.missing
    for task in await backend.labels.lease(audit, "ann", 100, 60):
        if task.region in [f"{audit}/bugs/{number}" for number in missing]:
            await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=3), "")
    shown = (await (await browse()).get(page)).text
    first_page = [number for number in range(24) if number not in missing]
    assert shown.count("verified proposal</span>") == len(first_page) > 0
    assert "Labels by verified proposals</dt><dd>9</dd>" in shown


HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def audit_page(browse: Any, publish: Any, backend: Backend) -> str:
    """Of an audit of two regions and a warning: one region has a label with a note, the other was skipped."""
    audit = await publish([3, 4], wanted=1)
    dataset = (await backend.resources.get(audit)).dataset
    warning = models_pb2.Warning(reason="X", message="the data is <small>")
    body = Audit(dataset=dataset, warnings=[warning]).SerializeToString()
    await backend.redis.hset(redis_keys.resource(audit), "body", body)
    (task,) = await backend.labels.lease(audit, "<ann>", 1, 60)
    await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=3), HOSTILE)
    (second,) = await backend.labels.lease(audit, "ben", 1, 60)
    await backend.labels.skip(second.region, second.lease_token, "too <dark>")
    return (await (await browse()).get(f"/{audit}")).text


def test_an_audits_page_shows_where_its_regions_lie_and_what_they_show(audit_page: str) -> None:
    assert "Where the regions lie" in audit_page
    assert "class 3</span>" in audit_page
    assert "class 4</span>" in audit_page
    assert "confirmed bug" in audit_page


@pytest.mark.parametrize("text", ["<ann>", HOSTILE, "too <dark>", "the data is <small>"])
def test_what_people_wrote_is_shown_as_text(audit_page: str, text: str) -> None:
    assert html.escape(text) in audit_page
    assert text not in audit_page


async def test_regions_come_in_pages_with_their_pictures(browse: Any, publish: Any) -> None:
    audit = await publish([n % 10 for n in range(30)])
    browser = await browse()
    shown = (await browser.get(f"/{audit}")).text
    assert shown.count('class="card region"') == 24
    more = shown.split('hx-get="')[-1].split('"')[0]
    assert (await browser.get(more)).text.count('class="card region"') == 6
    picture = await browser.get(f"/{audit}/regions/29/sheet.png")
    assert picture.headers["content-type"] == "image/png"
    assert (await browser.get(f"/{audit}/regions/30/sheet.png")).status_code == 404
    assert (await browser.get(f"/{audit}/regions?page=rubbish")).status_code == 400


async def test_corrections_and_the_verdict_are_shown_with_their_evidence(
    browse: Any, publish: Any, backend: Backend
) -> None:
    audit = await publish([3])
    points = [point(0.1, 0.7, 0.96), point(1.0, 0.93, 0.95, chosen=True), point(10.0, 0.99, 0.8)]
    correction = Correction(audit=audit, baseline=point(0, 0.1, 0.97), curve=points)
    await put(backend, correction, JobState.JOB_STATE_SUCCEEDED, audit)
    check = Check(
        check="clean_accuracy",
        verdict=Verdict.VERDICT_FAIL,
        value=-0.02,
        bound=-0.005,
        explanation="2 points lost",
    )
    accuracy = RegionAccuracy(region=f"{audit}/regions/0", accuracy_before=0.04, accuracy_after=0.97)
    evaluation = Evaluation(audit=audit, verdict=Verdict.VERDICT_FAIL, checks=[check], regions=[accuracy])
    await put(backend, evaluation, JobState.JOB_STATE_SUCCEEDED, audit)
    shown = (await (await browse()).get(f"/{audit}")).text
    assert "may not be promoted" in shown
    assert "2 points lost" in shown
    assert 'value="0.97"' in shown
    assert shown.count("<polyline") == 2


@pytest.fixture
async def bugs_page(browse: Any, publish: Any, backend: Backend) -> str:
    """Of an audit of two bugs, of which the second has more harm: one is mixed, one waits for its answer."""
    audit = await publish([3, 4])
    await backend.redis.delete(
        *(key(audit) for key in (redis_keys.label_tasks, redis_keys.label_states, redis_keys.label_places))
    )
    for number, harm in enumerate((1.7e-25, 0.02)):
        bug = Bug(
            name=f"{audit}/bugs/{number}",
            cells=[f"{audit}/regions/{number}"],
            predicted_class=5,
            harm=Interval(value=harm),
            harm_share=harm / 0.02,
        )
        await backend.redis.hset(redis_keys.bugs(audit), str(number), bug.SerializeToString())
    await backend.labels.open(audit, [FIRST_BUG, FIRST_BUG + 1], 1)
    (task,) = await backend.labels.lease(audit, "ann", 1, 60)
    mixed = LabelAnswer(verdict=LabelVerdict.LABEL_VERDICT_MIXED)
    await backend.labels.submit(task.region, task.lease_token, mixed, "")
    left_out = LabelingFigures(bug_count=2, unlabeled_count=2)
    await put(backend, Correction(audit=audit, labeling=left_out), JobState.JOB_STATE_SUCCEEDED, audit)
    evaluation = Evaluation(audit=audit, verdict=Verdict.VERDICT_PASS, labeling=left_out)
    await put(backend, evaluation, JobState.JOB_STATE_SUCCEEDED, audit)
    return (await (await browse()).get(f"/{audit}")).text


def test_a_page_says_what_nobody_has_settled(bugs_page: str) -> None:
    assert "1 bug waits for the split and 1 for an answer." in bugs_page


@pytest.mark.parametrize("lead", ["left out: ", "It stands on the labels as they were: "])
def test_a_correction_and_a_verdict_say_what_they_left_out(bugs_page: str, lead: str) -> None:
    assert f"{lead}2 bugs wait for an answer" in bugs_page


def test_bugs_have_their_rank_and_share_of_the_harm(bugs_page: str) -> None:
    words = bugs_page.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "100.0 %, rank 1" in words
    assert "&lt; 0.1 %, rank 2" in words
    assert "e-25" not in words


def point(weight: float, region: float, validation: float, *, chosen: bool = False) -> CorrectionPoint:
    figures = {"lambda": weight, "region_accuracy": region, "validation_accuracy": validation}
    return CorrectionPoint(**figures, chosen=chosen)


def test_the_curve_rises_where_the_share_does_and_leaves_out_what_diverged() -> None:
    points = [point(10.0, 0.9, 0.9), point(0.1, 0.5, 0.95), CorrectionPoint(diverged=True)]
    drawn, _ = curves(Correction(baseline=point(0, 0.2, 0.96), curve=points))
    assert [one.weight for one in drawn.points] == [0.1, 10.0]
    assert drawn.points[0].x < drawn.points[1].x
    assert drawn.before_y > drawn.points[0].y > drawn.points[1].y
    assert curves(Correction(curve=[CorrectionPoint(diverged=True)])) == []
    assert len(curves(Correction(curve=[point(1.0, 1.0, 1.0)]))) == 2


@pytest.mark.parametrize(("count", "dimensions"), [(2, 5), (30, 8), (12, 40), (200, 16)])
def test_the_map_is_the_principal_components(count: int, dimensions: int) -> None:
    draw = random.Random(count)
    scales = [math.exp(-0.4 * place) for place in range(dimensions)]
    means = [[draw.gauss(3.0, scale) for scale in scales] for _ in range(count)]
    projection = project(means)
    centred = np.array(means) - np.mean(means, axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * values[:2]
    ours = np.array(projection.points)
    for axis in range(2):
        sign = np.sign((ours[:, axis] * expected[:, axis]).sum()) or 1.0
        np.testing.assert_allclose(sign * ours[:, axis], expected[:, axis], atol=0.02 * values[0])
    np.testing.assert_allclose(projection.shares, values[:2] ** 2 / (values**2).sum(), atol=0.01)


def test_the_map_of_one_region_or_of_equal_ones_is_a_point() -> None:
    assert project([[1.0, 2.0]]).points == [(0.0, 0.0)]
    assert project([[1.0, 2.0]] * 3).shares == (0.0, 0.0)
    assert latent_map([]) is None
    assert latent_map([Region(name="audits/a/regions/0")]) is None


def test_every_region_is_within_the_map_and_in_the_legend() -> None:
    regions = [
        Region(
            name=f"audits/a/regions/{n}",
            mean=[math.sin(n), math.cos(2 * n), n],
            seed_label=n % 4,
            predicted_class=n % 5 + 4,
            harm=Interval(value=10.0**-n),
        )
        for n in range(40)
    ]
    drawn = latent_map(regions)
    assert drawn is not None
    assert sum(entry.count for entry in drawn.legend) == 40
    assert drawn.legend[-1].seed_label is None
    assert all(0 < dot.x < WIDTH and 0 < dot.y < HEIGHT and dot.colour <= COLOURS for dot in drawn.dots)
    largest = max(drawn.dots, key=lambda dot: dot.radius)
    assert largest.region.name.endswith("/regions/0")


async def test_an_unknown_address_is_a_page_for_people_and_json_for_scripts(browse: Any) -> None:
    browser = await browse()
    page = await browser.get("/nope", accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert (page.status_code, "<h1>There is nothing here</h1>" in page.text) == (404, True)
    answer = await browser.get("/nope", accept="application/json")
    assert (answer.status_code, answer.json()["reason"]) == (404, "RESOURCE_NOT_FOUND")

"""The annotators' page: what it hands out, what it takes, and what it never tells."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any

import pytest
from defuse.v1.audit_service_pb2 import RegionState
from defuse_server.backend import Backend
from defuse_server.web.labeling.handles import Handles
from defuse_server.web.labeling.keys import CLASS_KEYS, COMMANDS, SEARCH_KEY, class_keys
from PIL import Image

LABELED = RegionState.REGION_STATE_LABELED


async def answer(browser: Any, audit: str, task: dict[str, str], label: int, note: str = "") -> Any:
    content = {"handle": task["handle"], "answer": {"label": label}, "note": note}
    return await browser.post(audit, "answer", content)


async def test_an_answer_counts_once_however_often_it_is_sent(
    browse: Any, publish: Any, backend: Backend
) -> None:
    audit = await publish([4, 2])
    browser = await browse("ann")
    await browser.open(audit)
    (task,) = await browser.tasks(audit)
    for _ in range(3):
        assert (await answer(browser, audit, task, 4, "clear")).json()["progress"] == {"total": 2, "left": 1}
    standing = (await backend.labeling.labels(audit))[0]
    assert (standing.state, standing.label, standing.answers) == (LABELED, 4, 1)
    refused = await answer(browser, audit, task, 5)
    assert (refused.status_code, refused.json()["reason"]) == (409, "LEASE_LOST")


async def test_loading_the_page_leases_nothing(browse: Any, publish: Any, backend: Backend) -> None:
    audit = await publish([1])
    browser = await browse("ann")
    for _ in range(3):
        assert (await browser.open(audit)).status_code == 200
    assert (await backend.labeling.progress(audit)).leased_count == 0


async def test_a_page_that_was_loaded_again_gets_its_tasks_back(browse: Any, publish: Any) -> None:
    audit = await publish([1, 2, 3])
    browser = await browse("ann")
    await browser.open(audit)
    tasks = await browser.tasks(audit, want=2)
    held = [task["handle"] for task in tasks]
    assert await browser.tasks(audit, want=2, held=held, unseen=True) == tasks
    assert await browser.tasks(audit, want=2, held=held) == []


async def test_what_a_closed_page_held_is_free_soon_and_a_page_loaded_again_keeps_it(
    browse: Any, publish: Any, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = await publish([1])
    browser = await browse("ann")
    await browser.open(audit)
    (task,) = await browser.tasks(audit)
    monkeypatch.setattr("defuse_server.web.labeling.tasks.LEFT_S", 1.0)
    held = {"held": [task["handle"]]}
    assert (await browser.post(audit, "leave", held)).status_code == 204
    assert await browser.tasks(audit, unseen=True, **held) == [task]
    await asyncio.sleep(1.2)
    assert (await backend.labeling.progress(audit)).leased_count == 1
    assert (await browser.post(audit, "leave", held)).status_code == 204
    await asyncio.sleep(1.2)
    assert (await backend.labeling.progress(audit)).leased_count == 0


async def test_what_was_lost_is_told_and_replaced(browse: Any, publish: Any, backend: Backend) -> None:
    audit = await publish([1, 2])
    browser = await browse("ann")
    await browser.open(audit)
    (task,) = await browser.tasks(audit)
    held = await Handles(backend.resources.sealer).open("ann", audit, task["handle"])
    await backend.labels.release(held.region, held.token)
    answered = (await browser.post(audit, "tasks", {"held": [task["handle"]], "want": 1})).json()
    assert answered["lost"] == [task["handle"]]
    assert len(answered["tasks"]) == 1
    assert (await answer(browser, audit, task, 1)).json()["reason"] == "LEASE_LOST"


async def test_a_handle_is_good_for_its_annotator_and_its_audit_alone(browse: Any, publish: Any) -> None:
    audit, other = await publish([1]), await publish([1])
    ann, ben = await browse("ann"), await browse("ben")
    await ann.open(audit)
    await ben.open(audit)
    (task,) = await ann.tasks(audit)
    assert (await answer(ben, audit, task, 1)).json()["reason"] == "LEASE_LOST"
    assert (await answer(ann, other, task, 1)).json()["reason"] == "LEASE_LOST"
    assert (await ben.get(task["picture"])).status_code == 409
    assert (await ann.get(task["picture"])).status_code == 200
    for made_up in ("", "x", "A" * 3000, "é"):
        assert (await answer(ann, audit, {"handle": made_up}, 1)).json()["reason"] == "LEASE_LOST"


async def test_an_answer_is_taken_back_and_the_group_comes_again(
    browse: Any, publish: Any, backend: Backend
) -> None:
    audit = await publish([1, 2, 3], wanted=1)
    browser = await browse("ann")
    await browser.open(audit)
    (task,) = await browser.tasks(audit)
    await answer(browser, audit, task, 9)
    assert (await browser.post(audit, "undo", {"handle": task["handle"]})).status_code == 200
    assert (await backend.labeling.labels(audit))[0].answers == 0
    (again,) = await browser.tasks(audit)
    assert (await answer(browser, audit, again, 1)).status_code == 200
    assert (await backend.labeling.labels(audit))[0].label == 1
    twice = await browser.post(audit, "undo", {"handle": again["handle"]})
    assert twice.status_code == 200
    assert (await browser.post(audit, "undo", {"handle": again["handle"]})).json()[
        "reason"
    ] == "RESOURCE_NOT_FOUND"


async def test_a_skipped_group_goes_to_others_with_its_reason(
    browse: Any, publish: Any, backend: Backend
) -> None:
    audit = await publish([1])
    ann, ben = await browse("ann"), await browse("ben")
    await ann.open(audit)
    await ben.open(audit)
    (task,) = await ann.tasks(audit)
    without = await ann.post(audit, "skip", {"handle": task["handle"], "reason": ""})
    assert without.status_code == 400
    assert (
        await ann.post(audit, "skip", {"handle": task["handle"], "reason": "too dark"})
    ).status_code == 200
    assert await ann.tasks(audit) == []
    assert len(await ben.tasks(audit)) == 1
    (skip,) = (await backend.labeling.report(audit)).skips
    assert (skip.annotator, skip.reason) == ("ann", "too dark")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"label": 10}, "LABEL_UNKNOWN"),
        ({"label": -1}, "LABEL_UNKNOWN"),
        ({"label": 2**40}, "INVALID_FIELD"),
        ({"label": True}, "INVALID_FIELD"),
        ({"label": "3"}, "INVALID_FIELD"),
        ({"verdict": "great"}, "INVALID_FIELD"),
        ({"verdict": ["mixed"]}, "INVALID_FIELD"),
        ({}, "INVALID_FIELD"),
        (None, "INVALID_FIELD"),
        (7, "INVALID_FIELD"),
    ],
)
async def test_what_is_no_answer_is_refused_and_costs_nothing(
    browse: Any, publish: Any, given: Any, reason: str
) -> None:
    audit = await publish([1])
    browser = await browse("ann")
    await browser.open(audit)
    (task,) = await browser.tasks(audit)
    content = {"handle": task["handle"], "answer": given, "note": ""}
    refused = await browser.post(audit, "answer", content)
    assert (refused.status_code, refused.json()["reason"]) == (400, reason)
    assert "expected" in refused.json()["message"]
    assert (await answer(browser, audit, task, 1)).status_code == 200


@pytest.mark.parametrize(
    ("note", "status", "told"),
    [
        ("x" * 2001, 400, "2000 characters"),
        ("x" * 70_000, 413, "65536 bytes"),
        ("a\x00b", 400, "control"),
        (7, 400, "text"),
    ],
)
async def test_an_oversized_or_hostile_note_is_refused(
    browse: Any, publish: Any, note: Any, status: int, told: str
) -> None:
    audit = await publish([1])
    browser = await browse("ann")
    await browser.open(audit)
    (task,) = await browser.tasks(audit)
    refused = await answer(browser, audit, task, 1, note)
    assert refused.status_code == status
    assert told in refused.json()["message"]
    assert (await answer(browser, audit, task, 1, "<script>alert(1)</script>")).status_code == 200


@pytest.mark.parametrize(
    "content", [[], "text", {"held": "x"}, {"held": [1]}, {"held": ["x"] * 5}, {"want": 99}, {"want": "2"}]
)
async def test_a_malformed_request_is_told_what_was_expected(browse: Any, publish: Any, content: Any) -> None:
    audit = await publish([1])
    browser = await browse("ann")
    await browser.open(audit)
    refused = await browser.post(audit, "tasks", content)
    assert refused.status_code == 400
    assert "expected" in refused.json()["message"]


@pytest.mark.parametrize(
    "path", ["/label/nothing", "/label/01m87v47xcpznbcr6g", "/audits/01m87v47xcpznbcr6g", "/nowhere"]
)
async def test_what_is_not_there_is_a_page_that_says_so(browse: Any, path: str) -> None:
    answer = await (await browse("ann")).get(path)
    assert answer.status_code == 404
    assert "<h1>There is nothing here</h1>" in answer.text


async def test_the_page_tells_nothing_of_prediction_seed_or_audit(
    browse: Any, publish: Any, backend: Backend
) -> None:
    names = ["oryx", "ibis", "wren", "teal", "kudu"]
    audits = [await publish([0], classes=5, names=names), await publish([0], classes=5, names=names)]
    # The same picture, another prediction and another seed's label.
    region = await backend.regions.get(f"{audits[1]}/regions/0")
    region.predicted_class, region.seed_label = 3, 4
    for field in ("state", "label", "confirmed", "agreement"):
        region.ClearField(field)
    from defuse_server import redis_keys

    await backend.redis.hset(redis_keys.regions(audits[1]), "0", region.SerializeToString())
    await backend.redis.hset(redis_keys.predictions(audits[1]), "0", "3")
    seen: list[list[Any]] = []
    for audit in audits:
        browser = await browse("ann")
        page = (await browser.open(audit)).text
        (task,) = await browser.tasks(audit)
        pictures = [
            await browser.get(path) for path in sorted(set(re.findall(r'href="([^"]+png)"', task["html"])))
        ]
        texts = [page, task["html"], (await browser.get("/label")).text]
        assert not any("audits" in text for text in texts)
        own = (audit.partition("/")[2], task["handle"], browser.csrf)
        for secret in own:
            texts = [text.replace(secret, "") for text in texts]
        seen.append([texts[:2], [picture.content for picture in pictures], pictures[0].headers])
    assert seen[0] == seen[1]
    assert not any("class" in key or "label" in key for key in seen[0][2])


async def test_pictures_carry_no_metadata(browse: Any, publish: Any) -> None:
    audit = await publish([3])
    browser = await browse("ann")
    await browser.open(audit)
    (task,) = await browser.tasks(audit)
    picture = Image.open(io.BytesIO((await browser.get(task["picture"])).content))
    assert picture.info == {}
    assert re.search(r"artifacts|[0-9a-f]{64}|regions/", task["picture"] + task["html"]) is None


async def test_annotators_at_once_never_get_the_same_place(
    browse: Any, publish: Any, backend: Backend
) -> None:
    audit = await publish([1] * 12)
    browsers = [await browse(f"annotator {n}") for n in range(6)]
    for browser in browsers:
        await browser.open(audit)
    handed = await asyncio.gather(*(browser.tasks(audit, want=2) for browser in browsers))
    assert [len(tasks) for tasks in handed] == [2] * 6
    for browser, tasks in zip(browsers, handed, strict=True):
        for task in tasks:
            assert (await answer(browser, audit, task, 1)).status_code == 200
    assert {label.answers for label in (await backend.labeling.labels(audit)).values()} == {1}


async def test_the_choice_of_sets_shows_what_is_open(browse: Any, publish: Any) -> None:
    browser = await browse("ann")
    assert "nothing to label yet" in (await browser.get("/label")).text
    audit = await publish([1, 2])
    shown = (await browser.get("/label")).text
    assert f'href="/label/{audit.partition("/")[2]}"' in shown
    assert "2 groups" in shown


@pytest.mark.parametrize("classes", [1, 2, 10, 11, 29, 30, 43, 1000])
def test_no_key_does_two_things(classes: int) -> None:
    keys = [key for key in class_keys(classes) if key]
    assert keys == list(CLASS_KEYS[: len(keys)])
    assert len(keys) == (classes if classes <= 29 else 0)
    used = [*keys, *COMMANDS, SEARCH_KEY]
    assert len(used) == len(set(used))
    assert keys[:10] == [str(n) for n in range(min(len(keys), 10))]


async def test_every_key_is_shown_at_its_button(browse: Any, publish: Any) -> None:
    audit = await publish([1], classes=12)
    browser = await browse("ann")
    page = (await browser.open(audit)).text
    (task,) = await browser.tasks(audit)
    for key in [*class_keys(12), *COMMANDS]:
        assert f"<kbd>{key}</kbd>" in page + task["html"], key

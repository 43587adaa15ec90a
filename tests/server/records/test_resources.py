import asyncio
import uuid

import pytest
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.models_pb2 import JobState, Progress
from defuse.v1.registry_service_pb2 import Classifier, Dataset, RegistrationState, Vae
from defuse_server import redis_keys
from defuse_server.errors import (
    InvalidRequest,
    NotFound,
    PageTokenInvalid,
    RequestIdReused,
    ResourceInUse,
    WrongState,
)
from defuse_server.records.creation import NewResource
from defuse_server.records.resources import Resources
from redis.asyncio import Redis


async def register(resources: Resources, display_name: str = "") -> Classifier:
    classifier, _ = await resources.create(
        NewResource(Classifier(display_name=display_name), str(uuid.uuid4()), display_name.encode())
    )
    return classifier


async def start_audit(resources: Resources, *references: str) -> Audit:
    audit, _ = await resources.create(NewResource(Audit(), str(uuid.uuid4()), b"", references=references))
    return audit


async def end(redis: Redis, name: str, state: int = JobState.JOB_STATE_SUCCEEDED) -> None:
    await redis.hset(redis_keys.resource(name), "state", state)


async def test_a_new_resource_has_a_name_a_first_state_and_the_servers_time(resources: Resources) -> None:
    classifier = await register(resources, "mnist")
    assert classifier.name.startswith("classifiers/")
    assert classifier.display_name == "mnist"
    assert classifier.state == RegistrationState.REGISTRATION_STATE_INSPECTING
    assert classifier.create_time.seconds > 1_700_000_000


async def test_a_new_job_is_queued_since_the_servers_time(resources: Resources) -> None:
    audit = await start_audit(resources)
    assert audit.state == JobState.JOB_STATE_QUEUED
    assert audit.times.create_time.seconds > 1_700_000_000
    assert not audit.times.HasField("start_time")


async def test_the_same_create_again_answers_with_what_the_first_made(resources: Resources) -> None:
    request_id = str(uuid.uuid4())
    first, made = await resources.create(NewResource(Vae(display_name="a"), request_id, b"body"))
    again, made_again = await resources.create(NewResource(Vae(display_name="a"), request_id, b"body"))
    assert (made, made_again) == (True, False)
    assert again == first


async def test_a_request_id_with_another_body_is_refused(resources: Resources) -> None:
    request_id = str(uuid.uuid4())
    await resources.create(NewResource(Vae(), request_id, b"body"))
    with pytest.raises(RequestIdReused):
        await resources.create(NewResource(Vae(), request_id, b"another"))
    # Each collection has its own request ids: they are of different calls.
    await resources.create(NewResource(Dataset(), request_id, b"another"))


async def test_many_concurrent_creates_make_one_resource(resources: Resources) -> None:
    request_id = str(uuid.uuid4())
    answers = await asyncio.gather(
        *(resources.create(NewResource(Classifier(), request_id, b"body")) for _ in range(20))
    )
    assert len({classifier.name for classifier, _ in answers}) == 1
    assert sum(made for _, made in answers) == 1
    everything, _ = await resources.list(Classifier, 100, "")
    assert len(everything) == 1


async def test_a_resource_that_was_never_made_is_not_found(resources: Resources) -> None:
    with pytest.raises(NotFound):
        await resources.get("audits/00000000000000000a")
    with pytest.raises(InvalidRequest):
        await resources.get("audits/../secrets")
    with pytest.raises(InvalidRequest):
        await resources.get("planets/00000000000000000a")


async def test_an_audit_that_waits_shows_its_place_in_the_queue_and_what_is_before_it(
    resources: Resources, redis: Redis
) -> None:
    # Its inspection runs beside the jobs.
    await redis.sadd(redis_keys.RUNNING, (await register(resources)).name)
    await register(resources)
    busy = await start_audit(resources)
    await redis.zrem(redis_keys.QUEUE, busy.name)
    await redis.sadd(redis_keys.RUNNING, busy.name)
    first = await start_audit(resources)
    audit = await start_audit(resources)
    await start_audit(resources)
    assert first.progress.queue_position == 0
    audit = await resources.fetch(Audit, audit.name)
    assert audit.progress.queue_position == 1
    assert list(audit.progress.jobs_before) == [busy.name, first.name]
    assert audit.progress.waiting_since == audit.times.create_time
    assert not audit.progress.HasField("heartbeat_age")


@pytest.fixture
async def running(resources: Resources, redis: Redis) -> Audit:
    """An audit whose worker gave its last sign of life seven seconds ago."""
    audit = await start_audit(resources)
    now_s, _ = await redis.time()
    progress = Progress(stage="identify", done=3, total=10, unit="seeds")
    await redis.zrem(redis_keys.QUEUE, audit.name)
    await redis.hset(
        redis_keys.resource(audit.name),
        mapping={
            "state": JobState.JOB_STATE_RUNNING,
            "attempt": 2,
            "progress": progress.SerializeToString(),
            "heartbeat_ms": (now_s - 7) * 1000,
            "candidate_count": 40,
        },
    )
    running = await resources.get(audit.name)
    assert isinstance(running, Audit)
    return running


def test_an_audit_that_runs_shows_how_far_it_is(running: Audit) -> None:
    progress = running.progress
    assert (progress.stage, progress.done, progress.total) == ("identify", 3, 10)
    assert (progress.attempt, progress.queue_position) == (2, 0)
    assert not progress.jobs_before
    assert not progress.HasField("waiting_since")
    assert running.candidate_count == 40


def test_an_audit_that_runs_shows_how_long_its_worker_is_silent(running: Audit) -> None:
    assert 7 <= running.progress.heartbeat_age.seconds < 60


async def test_pages_go_from_the_newest_to_the_oldest_and_miss_nothing(resources: Resources) -> None:
    made = [(await register(resources, str(number))).name for number in range(7)]
    seen: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        page, token = await resources.list(Classifier, 3, token)
        seen += [classifier.name for classifier in page]
        pages += 1
        await register(resources, "made meanwhile")
    assert seen == made[::-1]
    assert pages == 3


async def test_a_list_filters_by_state(resources: Resources, redis: Redis) -> None:
    names = [(await register(resources)).name for _ in range(6)]
    ready = names[1::2]
    for name in ready:
        await end(redis, name, RegistrationState.REGISTRATION_STATE_READY)
    wanted = RegistrationState.REGISTRATION_STATE_READY
    first, token = await resources.list(Classifier, 2, "", wanted)
    second, end_token = await resources.list(Classifier, 2, token, wanted)
    assert [classifier.name for classifier in [*first, *second]] == ready[::-1]
    assert end_token == ""


async def test_a_page_token_is_good_for_its_own_list_and_filter_only(resources: Resources) -> None:
    for _ in range(3):
        await register(resources)
    _, token = await resources.list(Classifier, 1, "")
    flipped = ("B" if token[0] == "A" else "A") + token[1:]
    for wrong in (flipped, "x", "not base64!", "\u00e9"):
        with pytest.raises(PageTokenInvalid):
            await resources.list(Classifier, 1, wrong)
    with pytest.raises(PageTokenInvalid):
        await resources.list(Vae, 1, token)
    with pytest.raises(PageTokenInvalid):
        await resources.list(Classifier, 1, token, RegistrationState.REGISTRATION_STATE_READY)


@pytest.mark.parametrize("page_size", [-1, 1001])
async def test_a_page_size_out_of_range_is_refused(resources: Resources, page_size: int) -> None:
    with pytest.raises(InvalidRequest):
        await resources.list(Classifier, page_size, "")


async def test_what_others_refer_to_cannot_be_deleted_until_they_are_gone(
    resources: Resources, redis: Redis
) -> None:
    classifier = await register(resources)
    audit = await start_audit(resources, classifier.name)
    with pytest.raises(ResourceInUse, match=audit.name):
        await resources.delete(classifier.name)
    await end(redis, audit.name)
    await resources.delete(audit.name)
    await resources.delete(classifier.name)
    with pytest.raises(NotFound):
        await resources.get(classifier.name)
    assert await resources.list(Classifier, 10, "") == ([], "")


async def test_a_running_audit_is_not_deleted(resources: Resources) -> None:
    audit = await start_audit(resources)
    with pytest.raises(WrongState, match="QUEUED"):
        await resources.delete(audit.name)


async def test_nothing_can_refer_to_what_does_not_exist(resources: Resources) -> None:
    classifier = await register(resources)
    await resources.delete(classifier.name)
    with pytest.raises(NotFound, match=classifier.name):
        await start_audit(resources, classifier.name)


async def test_a_deleted_resource_leaves_no_key_but_its_request(resources: Resources, redis: Redis) -> None:
    classifier = await register(resources)
    audit = await start_audit(resources, classifier.name)
    await end(redis, audit.name)
    await resources.delete(audit.name)
    left = {key.decode() for key in await redis.keys("*")}
    assert not [key for key in left if audit.name in key]
    assert redis_keys.referrers(classifier.name) not in left

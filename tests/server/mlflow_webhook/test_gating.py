"""What becomes of an accepted event when something is in the way. No service is there."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from defuse.aio import AsyncClient
from defuse.model_registries.errors import AliasMoved, RegistryUnavailable
from defuse.model_registries.folder import FolderRegistry
from defuse_server import redis_keys
from defuse_server.host.cancellation import cancel_and_wait
from defuse_server.mlflow_webhook import gating
from defuse_server.mlflow_webhook.gating import FAILURES_MAX, Gating
from defuse_server.mlflow_webhook.inbox import Event, Inbox
from redis.asyncio import Redis

TAGS = {"defuse.alias": "champion", "defuse.audit": "audits/a"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gating, "FIRST_DELAY_S", 0.01)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    model = tmp_path / "digits"
    for version in ("1", "2"):
        (model / version).mkdir(parents=True)
        (model / version / "model.onnx").write_bytes(version.encode())
    (model / "aliases").mkdir()
    (model / "aliases" / "champion").write_text("1")
    (model / "tags.json").write_text(json.dumps(TAGS))
    return tmp_path


class Failing(FolderRegistry):
    """A folder that fails at the first calls; counts them."""

    def __init__(self, place: Path, error: Exception, times: int) -> None:
        super().__init__(place)
        self.error, self.times, self.calls = error, times, 0

    def aliased_version(self, model: str, alias: str) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return super().aliased_version(model, alias)


Run = Callable[[FolderRegistry], None]


@pytest.fixture
async def run(redis: Redis) -> AsyncIterator[Run]:
    """Gates over a registry, with a service that is not there."""
    client = AsyncClient("127.0.0.1:1", timeout_s=0.2)
    tasks: list[asyncio.Task[None]] = []

    def start(registry: FolderRegistry) -> None:
        tasks.append(asyncio.create_task(Gating(Inbox(redis, lease_s=5), registry, client).run()))

    yield start
    await cancel_and_wait(*tasks)
    await client.close()


async def accept(redis: Redis, event: Event) -> None:
    assert await Inbox(redis, lease_s=5).accept("d1", event)


async def waiting(redis: Redis) -> list[dict[str, int]]:
    return [json.loads(event) for event in await redis.hvals(redis_keys.WEBHOOK_EVENTS)]


async def eventually(holds: Callable[[], Awaitable[bool]], patience_s: float = 30.0) -> None:
    async with asyncio.timeout(patience_s):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.05)


async def is_done(redis: Redis) -> bool:
    return not await waiting(redis)


async def test_while_the_service_is_down_the_event_stays_and_nothing_is_written(
    redis: Redis, place: Path, run: Run
) -> None:
    await accept(redis, Event("digits", "2"))
    run(FolderRegistry(place))

    async def tried_often() -> bool:
        (event,) = await waiting(redis)
        return event["tries"] > FAILURES_MAX

    await eventually(tried_often)
    (event,) = await waiting(redis)
    assert event["failures"] == 0
    assert not (place / "digits" / "2" / "tags.json").exists()


async def test_what_the_user_must_put_right_is_told_at_once(redis: Redis, place: Path, run: Run) -> None:
    (place / "digits" / "aliases" / "champion").unlink()
    await accept(redis, Event("digits", "2"))
    run(FolderRegistry(place))
    await eventually(lambda: is_done(redis))
    said = FolderRegistry(place).tags("digits", "2")["defuse.error"]
    assert "expected the version of digits that is in use" in said


async def test_an_error_that_nobody_knows_is_tried_again_and_told_in_the_end(
    redis: Redis, place: Path, run: Run
) -> None:
    registry = Failing(place, RuntimeError("secret detail"), times=1000)
    await accept(redis, Event("digits", "2"))
    run(registry)
    await eventually(lambda: is_done(redis))
    assert registry.calls == FAILURES_MAX
    assert registry.tags("digits", "2") == {
        "defuse.error": "unexpected RuntimeError: the webhook's log has more"
    }


@pytest.mark.parametrize("error", [RegistryUnavailable("down"), AliasMoved("elsewhere")])
async def test_a_registry_that_is_down_and_an_alias_that_moved_are_waited_for(
    redis: Redis, place: Path, run: Run, error: Exception
) -> None:
    registry = Failing(place, error, times=FAILURES_MAX + 1)
    await accept(redis, Event("digits", "2"))
    run(registry)

    async def got_through() -> bool:
        return registry.calls > registry.times

    await eventually(got_through)
    assert len(await waiting(redis)) == 1
    assert registry.tags("digits", "2") == {}


@pytest.mark.parametrize("event", [Event("digits", "9"), Event("letters", "1")])
async def test_a_version_that_is_gone_is_let_go(redis: Redis, place: Path, run: Run, event: Event) -> None:
    registry = FolderRegistry(place)
    before = registry.aliased_version("digits", "champion")
    await accept(redis, event)
    run(registry)
    await eventually(lambda: is_done(redis))
    # Nothing stands in its place: no version is told of it, and no folder is made for it.
    assert (registry.aliased_version("digits", "champion"), registry.tags("digits", "2")) == (before, {})
    assert not (place / event.model / event.version).exists()


async def test_a_model_without_the_tag_is_none_of_ours(redis: Redis, place: Path, run: Run) -> None:
    (place / "digits" / "tags.json").unlink()
    await accept(redis, Event("digits", "2"))
    run(FolderRegistry(place))
    await eventually(lambda: is_done(redis))
    assert FolderRegistry(place).tags("digits", "2") == {}

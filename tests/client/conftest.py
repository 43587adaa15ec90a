"""A fake server and its clients, sync and async."""

import asyncio
import inspect
from collections.abc import Callable, Iterator

import defuse
import pytest
from defuse import messages

from tests.client.fake_server import FakeServer


class InThisThread:
    """An AsyncClient whose coroutines and async iterators are run to their end, as if it were a Client."""

    def __init__(self, *args, **kwargs):
        self._runner = asyncio.Runner()

        async def make():
            return defuse.AsyncClient(*args, **kwargs)

        self._client = self._runner.run(make())

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            return self._runner.run(result) if inspect.iscoroutine(result) else self._items(result)

        return call

    def _items(self, iterator):
        async def take():
            return await anext(iterator, None)

        try:
            while (item := self._runner.run(take())) is not None:
                yield item
        finally:
            self._runner.run(iterator.aclose())

    def close(self):
        self._runner.run(self._client.close())
        self._runner.close()


@pytest.fixture
def server():
    fake = FakeServer()
    yield fake
    fake.stop()


@pytest.fixture(params=[defuse.Client, InThisThread], ids=["sync", "async"])
def client(request, server):
    client = request.param(server.address, timeout_s=10)
    yield client
    client.close()


@pytest.fixture
def restart() -> Iterator[Callable[[FakeServer], FakeServer]]:
    """Stops a server and starts another at its address."""
    started: list[FakeServer] = []

    def again(old: FakeServer) -> FakeServer:
        old.stop()
        started.append(FakeServer(old.port))
        return started[-1]

    yield again
    for fake in started:
        fake.stop()


@pytest.fixture
def audit() -> Callable[..., messages.Audit]:
    def make(state: str, **fields) -> messages.Audit:
        number = messages.JobState.Value(f"JOB_STATE_{state}")
        return messages.Audit(name="audits/a", state=number, **fields)

    return make

"""A job outlasts a short absence of Redis or the store."""

import pytest
import redis.exceptions
from defuse_server.errors import BackendUnavailable, Fenced
from defuse_server.worker.patience import patiently


@pytest.mark.parametrize("error", [redis.exceptions.ConnectionError("gone"), BackendUnavailable("gone")])
async def test_a_call_is_repeated_until_the_backend_is_back(error):
    answers = [error, error, "done"]

    async def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await patiently(call) == "done"
    assert not answers


async def test_other_errors_pass_at_once():
    async def call() -> None:
        raise Fenced("audits/a", 1)

    with pytest.raises(Fenced):
        await patiently(call)

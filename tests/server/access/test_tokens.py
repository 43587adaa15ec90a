"""Tokens: what Redis keeps of them, and when they are good."""

import asyncio

import pytest
from defuse_server import redis_keys
from defuse_server.access.access import Access
from defuse_server.access.caller import ANYONE, SERVER, Credential
from defuse_server.access.roles import Role
from defuse_server.access.tokens import Tokens, digest_of
from defuse_server.errors import InvalidRequest, NotFound, PermissionDenied, Unauthenticated
from defuse_server.host.settings import Settings
from pydantic import SecretStr


@pytest.fixture
def tokens(redis):
    return Tokens(redis)


async def everything_in(redis) -> bytes:
    found = b""
    for key in await redis.keys("*"):
        found += await redis.dump(key)
    return found


async def test_redis_never_sees_the_token(redis, tokens):
    token = await tokens.create("ann", [Role.ANNOTATOR])
    assert len(token) > 43
    kept = await everything_in(redis)
    assert b"ann" in kept
    assert token.encode() not in kept
    assert token.removeprefix("defuse_").encode() not in kept


async def test_two_tokens_differ(tokens):
    assert await tokens.create("ann", [Role.VIEWER]) != await tokens.create("ben", [Role.VIEWER])


async def test_a_token_tells_its_name_and_its_roles(tokens):
    token = await tokens.create("ann", [Role.PROMOTER, Role.ANNOTATOR], 60)
    found = await tokens.find(digest_of(token))
    assert found is not None
    assert (found.name, found.roles, found.is_good) == ("ann", {Role.PROMOTER, Role.ANNOTATOR}, True)
    assert found.expires_ms - found.created_ms == 60_000
    assert await tokens.find(digest_of("defuse_other")) is None


async def test_the_last_use_is_kept_to_ten_minutes(redis, tokens):
    digest = digest_of(await tokens.create("ann", [Role.VIEWER]))
    await tokens.find(digest)
    (listed,) = await tokens.list()
    assert listed.used_ms > 0
    eleven_minutes_ago = listed.used_ms - 11 * 60_000
    for used_ms, kept in ((listed.used_ms - 60_000, True), (eleven_minutes_ago, False)):
        await redis.hset(redis_keys.ACCESS_TOKEN_USES, digest, used_ms)
        await tokens.find(digest)
        (again,) = await tokens.list()
        assert (again.used_ms == used_ms) is kept


async def test_a_name_has_one_good_token(tokens):
    first = await tokens.create("ann", [Role.VIEWER], 0.05)
    with pytest.raises(InvalidRequest, match="revoke it first"):
        await tokens.create("ann", [Role.ADMIN])
    await asyncio.sleep(0.06)
    second = await tokens.create("ann", [Role.ADMIN])
    await tokens.revoke("ann")
    third = await tokens.create("ann", [Role.AUDITOR])
    states = [await tokens.find(digest_of(token)) for token in (first, second, third)]
    assert [(one.is_expired, bool(one.revoked_ms), one.is_good) for one in states] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


async def test_only_a_good_token_is_revoked(tokens):
    with pytest.raises(NotFound, match="ann"):
        await tokens.revoke("ann")


@pytest.mark.parametrize("name", ["", " ann", "a\nb", "x" * 101])
async def test_a_name_is_one_that_an_annotator_may_have(tokens, name):
    with pytest.raises(InvalidRequest, match="1 to 100 printable"):
        await tokens.create(name, [Role.VIEWER])


async def test_a_token_is_required_once_one_was_made_even_if_it_is_revoked(redis):
    access = Access(Settings(), redis)
    assert await access.caller([]) == ANYONE
    assert await access.caller(["Bearer stray"]) == ANYONE
    token = await access.tokens.create("ann", [Role.VIEWER])
    await access.tokens.revoke("ann")
    for authorization, cause in (
        ([], "missing"),
        ([f"Basic {token}"], "malformed"),
        ([f"Bearer {token}", f"Bearer {token}"], "malformed"),
        (["Bearer stray"], "unknown"),
        ([f"Bearer {token}"], "revoked"),
    ):
        with pytest.raises(Unauthenticated) as caught:
            await access.caller(authorization)
        assert caught.value.figures == {"cause": cause}
        assert token not in caught.value.message


async def test_the_settings_can_require_a_token_or_none(redis):
    with pytest.raises(Unauthenticated, match="no token came"):
        await Access(Settings(auth="required"), redis).caller([])
    tokens = Tokens(redis)
    token = await tokens.create("ann", [Role.VIEWER])
    for authorization in ([], [f"Bearer {token}"], ["Bearer stray"]):
        assert await Access(Settings(auth="off"), redis).caller(authorization) == ANYONE


async def test_the_servers_token_is_an_administrators(redis):
    access = Access(Settings(token=SecretStr("correct-horse")), redis)
    assert await access.caller(["bearer correct-horse"]) == SERVER
    assert {Role.ADMIN} == SERVER.roles


async def test_who_has_a_token_of_its_own_answers_under_its_name(redis):
    access = Access(Settings(), redis)
    caller = await access.holder(await access.tokens.create("ann", [Role.ANNOTATOR]))
    assert (caller.credential, caller.annotator(""), caller.annotator("ann")) == (
        Credential.TOKEN,
        "ann",
        "ann",
    )
    with pytest.raises(PermissionDenied, match="leave it empty"):
        caller.annotator("ben")
    assert SERVER.annotator("ben") == ANYONE.annotator("ben") == "ben"

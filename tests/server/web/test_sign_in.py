"""Who is let in, and what is refused before anything is looked at."""

from __future__ import annotations

from typing import Any

import pytest
from defuse_server.access.roles import Role
from defuse_server.host.settings import Settings
from defuse_server.web.app import create_app
from pydantic import SecretStr
from starlette.routing import Route

TOKEN = "a-token-for-this-test"


@pytest.fixture
def secured(settings: Settings) -> Settings:
    return settings.model_copy(update={"token": SecretStr(TOKEN)})


async def test_on_loopback_a_name_is_asked_for_once(browse: Any) -> None:
    browser = await browse()
    asked = await browser.get("/label")
    assert asked.url.path == "/sign-in"
    assert 'name="token"' not in asked.text
    answer = await browser.sign_in("Ann <b>O'Hara</b>")
    assert answer.url.path == "/label"
    assert "Ann &lt;b&gt;O&#39;Hara&lt;/b&gt;" in answer.text
    assert (await browser.get("/label")).url.path == "/label"


async def test_the_session_cookie_stays_with_this_site_and_away_from_scripts(browse: Any) -> None:
    browser = await browse()
    cookie = (await browser.get("/sign-in")).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize(
    ("name", "told"), [("", "1 to 100"), ("x" * 101, "1 to 100"), ("a\x00b", "control"), (" ", "1 to 100")]
)
async def test_a_name_must_be_one(browse: Any, name: str, told: str) -> None:
    answer = await (await browse()).sign_in(name)
    assert answer.status_code == 400
    assert told in answer.text


async def test_signing_out_forgets_the_name(browse: Any) -> None:
    browser = await browse("ann")
    await browser.get("/label")
    await browser.http.post(
        "/sign-out", data={"csrf": browser.csrf}, headers={"origin": str(browser.http.base_url)}
    )
    assert (await browser.get("/label")).url.path == "/sign-in"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "label"])
async def test_signing_in_leads_to_no_other_site(browse: Any, target: str) -> None:
    answer = await (await browse()).sign_in("ann", next=target)
    assert (answer.url.host, answer.url.path) == ("localhost", "/")


@pytest.mark.parametrize("cookie", ["", "rubbish", "A" * 5000, "w6nDqcOpw6nDqcOpw6nDqQ"])
async def test_a_cookie_that_was_not_made_here_is_no_session(browse: Any, cookie: str) -> None:
    browser = await browse("ann")
    browser.http.cookies.clear()
    browser.http.cookies.set("defuse-session", cookie)
    assert (await browser.get("/label")).url.path == "/sign-in"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"x-csrf-token": "rubbish"},
        {"x-csrf-token": ""},
    ],
)
async def test_a_cross_site_request_is_refused(browse: Any, publish: Any, headers: dict[str, str]) -> None:
    audit = await publish([1])
    browser = await browse("ann")
    await browser.open(audit)
    (task,) = await browser.tasks(audit)
    content = {"handle": task["handle"], "answer": {"label": 1}, "note": ""}
    assert (await browser.post(audit, "answer", content, **headers)).status_code == 403
    # Nothing had happened: the page's own request still counts.
    assert (await browser.post(audit, "answer", content)).status_code == 200


async def test_every_change_wants_the_pages_own_token(browse: Any, publish: Any, backend: Any) -> None:
    audit = (await publish([1])).partition("/")[2]
    browser = await browse("ann")
    other = await browse("ben")
    await other.get("/label")
    changes = [
        route.path
        for route in create_app(backend).routes
        if isinstance(route, Route) and "POST" in (route.methods or ())
    ]
    assert len(changes) >= 6
    origin = {"origin": str(browser.http.base_url)}
    for path in changes:
        address = path.replace("{audit}", audit)
        for csrf in ("", other.csrf):
            headers = {**origin, "x-csrf-token": csrf}
            if path.startswith("/sign"):
                answer = await browser.http.post(address, data={"csrf": csrf or "x"}, headers=headers)
            else:
                answer = await browser.http.post(address, json={}, headers=headers)
            assert answer.status_code == 403, path


async def test_a_form_of_another_site_can_not_pose_as_the_script(browse: Any, publish: Any) -> None:
    audit = await publish([1])
    browser = await browse("ann")
    await browser.open(audit)
    answer = await browser.post(audit, "tasks", {}, **{"content-type": "text/plain"})
    assert answer.status_code == 400
    assert "application/json" in answer.json()["message"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:50180", "192.0.2.7:50180"])
async def test_without_a_token_only_loopback_names_are_answered(browse: Any, host: str) -> None:
    answer = await (await browse()).get("/audits", host=host)
    assert answer.status_code == 403
    assert "loopback" in answer.text


async def test_every_page_forbids_foreign_scripts_and_frames(browse: Any, publish: Any) -> None:
    audit = await publish([1])
    browser = await browse("ann")
    for answer in (await browser.get("/"), await browser.open(audit), await browser.get(f"/{audit}")):
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "style=" not in answer.text
        assert "<script>" not in answer.text
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/label", "/audits"])
async def test_with_a_token_nothing_is_shown_before_it_is(secured: Settings, path: str) -> None:
    from defuse_server.backend import open_backend

    from tests.server.web.conftest import Browser

    async with open_backend(secured) as backend:
        browser = Browser(backend)
        assert (await browser.get(path)).url.path == "/sign-in"
        refused = await browser.sign_in("ann", token="wrong")
        assert refused.status_code == 401
        assert "DEFUSE_TOKEN" in refused.text
        assert TOKEN not in refused.text
        assert (await browser.get(path)).url.path == "/sign-in"
        assert (await browser.sign_in("ann", token=TOKEN)).url.path == "/label"
        assert (await browser.get(path)).url.path == path


async def test_another_token_ends_the_sessions(secured: Settings) -> None:
    from defuse_server.backend import open_backend

    from tests.server.web.conftest import Browser

    async with open_backend(secured) as backend:
        browser = Browser(backend)
        await browser.sign_in("ann", token=TOKEN)
    async with open_backend(secured.model_copy(update={"token": SecretStr("new")})) as backend:
        later = Browser(backend)
        later.http.cookies.update(browser.http.cookies)
        assert (await later.get("/audits")).url.path == "/sign-in"


async def test_a_link_from_elsewhere_finds_who_is_signed_in(browse: Any) -> None:
    # Such a visit brings no SameSite=Strict cookie; it must not lead to the form, and replace the session.
    stranger = await browse()
    answer = await stranger.get("/label", **{"sec-fetch-site": "cross-site"})
    assert 'http-equiv="refresh"' in answer.text
    assert "set-cookie" not in answer.headers


async def test_a_token_of_ones_own_is_the_name(backend: Any, browse: Any, publish: Any) -> None:
    audit = await publish([1])
    early = await browse("ben")
    token = await backend.access.tokens.create("ann", [Role.ANNOTATOR])
    # Whoever signed in by a name alone has to show a token now.
    assert (await early.get("/label")).url.path == "/sign-in"
    assert (await early.post(audit, "tasks", {"held": [], "want": 1})).status_code == 401
    browser = await browse()
    other = await browser.sign_in("ben", token=token)
    assert other.status_code == 403
    assert "this token answers as &#39;ann&#39;" in other.text
    assert (await browser.sign_in("", token=token)).url.path == "/label"
    await browser.open(audit)
    (task,) = await browser.tasks(audit)
    content = {"handle": task["handle"], "answer": {"label": 1}, "note": ""}
    assert (await browser.post(audit, "answer", content)).status_code == 200
    report = await backend.labeling.report(audit)
    assert [one.annotator for one in report.annotators] == ["ann"]


async def test_pages_are_for_the_roles_that_may_call_what_they_show(
    backend: Any, browse: Any, publish: Any
) -> None:
    audit = await publish([1])
    tokens = {role: await backend.access.tokens.create(role, [role]) for role in Role}
    label_page, audit_page = f"/label/{audit.partition('/')[2]}", f"/{audit}"
    for role, may_label, may_look in (
        (Role.VIEWER, False, True),
        (Role.ANNOTATOR, True, False),
        (Role.AUDITOR, False, True),
        (Role.PROMOTER, False, True),
        (Role.ADMIN, True, True),
    ):
        browser = await browse()
        await browser.sign_in("", token=tokens[role], next="/")
        await browser.get("/")
        for path, may in ((label_page, may_label), ("/audits", may_look), (audit_page, may_look)):
            assert (await browser.get(path)).status_code == (200 if may else 403), (role, path)
        answer = await browser.post(audit, "tasks", {"held": [], "want": 0})
        assert answer.status_code == (200 if may_label else 403), role
        if not may_label:
            assert answer.json()["reason"] == "PERMISSION_DENIED"


async def test_a_revoked_token_ends_its_sessions_at_once(backend: Any, browse: Any) -> None:
    token = await backend.access.tokens.create("ann", [Role.ADMIN])
    browser = await browse()
    await browser.sign_in("", token=token)
    assert (await browser.get("/audits")).url.path == "/audits"
    await backend.access.tokens.revoke("ann")
    for path in ("/audits", "/label"):
        assert (await browser.get(path)).url.path == "/sign-in"
    again = await browser.sign_in("", token=token)
    assert again.status_code == 401
    assert "was revoked at" in again.text

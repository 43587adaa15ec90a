"""Signing in with a name, and with the server's token if it has one."""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from defuse_server import validation
from defuse_server.errors import InvalidRequest
from defuse_server.validation import ANNOTATOR_CHARACTERS, Violations
from defuse_server.web.bodies import read_form
from defuse_server.web.rendering import page
from defuse_server.web.sessions import COOKIE, LIFETIME_S, Session, Sessions

HOME: Final = "/"


class SignIn:
    """The page on which annotators give their name."""

    def __init__(self, sessions: Sessions, *, secure: bool) -> None:
        self._sessions = sessions
        self._secure = secure

    async def show(self, request: Request) -> Response:
        """Show the form, in a session in which nobody has signed in."""
        session = request.state.session or self._sessions.fresh()
        return await self._form(request, session, _local(request.query_params.get("next", HOME)), "")

    async def submit(self, request: Request) -> Response:
        """Sign in, or show the form again with the reason."""
        fields = await read_form(request, self._sessions)
        name, target = fields.get("annotator", "").strip(), _local(fields.get("next", HOME))
        if not self._sessions.admits(fields.get("token", "").strip()):
            told = "This is not the server's token. Ask whoever started the server for DEFUSE_TOKEN."
            return await self._form(request, request.state.session, target, told, 401)
        violations = Violations()
        validation.text(violations, "Name", name, ANNOTATOR_CHARACTERS, least=1)
        try:
            violations.check()
        except InvalidRequest as error:
            return await self._form(request, request.state.session, target, error.message, 400)
        return await self._with_cookie(RedirectResponse(target, 303), self._sessions.signed_in(name))

    async def leave(self, request: Request) -> Response:
        """Sign out."""
        fields = await read_form(request, self._sessions)
        where = f"/sign-in?{urlencode({'next': _local(fields.get('next', HOME))})}"
        return await self._with_cookie(RedirectResponse(where, 303), self._sessions.fresh())

    async def _form(
        self, request: Request, session: Session, target: str, told: str, status: int = 200
    ) -> Response:
        shown = page(
            "sign_in.html",
            status_code=status,
            csrf=await self._sessions.csrf_token(session),
            next=target,
            told=told,
            annotator=session.annotator,
            asks_for_token=self._sessions.asks_for_token,
            name_characters=ANNOTATOR_CHARACTERS,
        )
        return await self._with_cookie(shown, session)

    async def _with_cookie(self, response: Response, session: Session) -> Response:
        response.set_cookie(
            COOKIE,
            await self._sessions.cookie(session),
            max_age=LIFETIME_S,
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )
        return response


Page = Callable[[Request], Awaitable[Response]]


def admitted_only(sessions: Sessions, show: Page) -> Page:
    """Return a page for visitors who showed the server's token. Other visitors sign in first."""

    async def guarded(request: Request) -> Response:
        session: Session | None = request.state.session
        if sessions.asks_for_token and not (session and session.admitted):
            return sign_in_first(request)
        return await show(request)

    return guarded


def sign_in_first(request: Request) -> Response:
    """Redirect to the form, which leads back here.

    After a link from another site the browser sends no SameSite=Strict cookie, although the visitor may be
    signed in. Such a page is loaded once more, from this site.
    """
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return HTMLResponse(
            '<!doctype html><meta http-equiv="refresh" content="0"><title>Defuse</title>'
            "<p>One moment: this page loads again to recognise you.</p>"
        )
    return RedirectResponse(f"/sign-in?{urlencode({'next': where})}", 303)


def _local(target: str) -> str:
    """Return the target of a redirect if it is a path on this site, else the home page."""
    if target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable():
        return target
    return HOME

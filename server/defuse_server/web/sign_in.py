"""Signing in with a name, and with a token if the server asks for one."""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlencode

import grpc
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from defuse_server import validation
from defuse_server.access.activity_log import log_call
from defuse_server.access.caller import ANYONE
from defuse_server.error_codes import CODES
from defuse_server.errors import DefuseError, InvalidRequest, PermissionDenied, Unauthenticated
from defuse_server.validation import ANNOTATOR_CHARACTERS, Violations
from defuse_server.web.bodies import read_form
from defuse_server.web.problems import PageProblem, SignedOut
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
        violations = Violations()
        try:
            session = await self._sessions.signed_in(name, fields.get("token", "").strip())
            validation.text(violations, "Name", session.annotator, ANNOTATOR_CHARACTERS, least=1)
            violations.check()
        except Unauthenticated as error:
            advice = "Ask whoever runs the server for one; the server's own is DEFUSE_TOKEN."
            told = f"Sign in with a token that is good: {error.message}. {advice}"
            return await self._form(request, request.state.session, target, told, 401)
        except PermissionDenied as error:
            return await self._form(request, request.state.session, target, error.message, 403)
        except InvalidRequest as error:
            return await self._form(request, request.state.session, target, error.message, 400)
        return await self._with_cookie(RedirectResponse(target, 303), session)

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
            asks_for_token=await self._sessions.asks_for_token(),
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


def admitted_only(sessions: Sessions, rpc: str, show: Page) -> Page:
    """Return a page for visitors who may call an RPC. Visitors who are not known yet sign in first.

    If the page changes something, it leaves the line of that RPC in the log of who did what.
    """

    async def guarded(request: Request) -> Response:
        session: Session | None = request.state.session
        caller = session.caller if session else None
        if caller is None:
            if not await sessions.asks_for_token():
                caller = ANYONE
            elif request.method != "POST":
                return sign_in_first(request)
        code = grpc.StatusCode.INTERNAL
        try:
            if caller is None:
                raise SignedOut("your session has ended: sign in again")
            caller.check(rpc)
            answer = await show(request)
            code = grpc.StatusCode.OK
            return answer
        except (DefuseError, PageProblem) as error:
            code = error.code if isinstance(error, PageProblem) else CODES[error.reason]
            raise
        finally:
            if request.method == "POST":
                peer = f"{request.client.host}:{request.client.port}" if request.client else ""
                log_call(rpc, caller, code, peer, f"audits/{request.path_params.get('audit', '')}"[:200])

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

"""Turns errors into answers: JSON for scripts, a page for people."""

from collections.abc import Mapping
from typing import ClassVar, Final

import grpc
from defuse.v1.error_reason_pb2 import ErrorReason
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from defuse_server.error_codes import CODES, known
from defuse_server.web.rendering import page

_STATUS: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 409,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_TITLES: Final = {
    400: "This request is not valid",
    401: "Sign in first",
    403: "Refused",
    404: "There is nothing here",
    409: "That is no longer possible",
    413: "Too long",
    503: "The service can't be reached",
}


class PageProblem(Exception):
    """A refused request of a browser."""

    status: ClassVar[int]
    reason: ClassVar[str]
    code: ClassVar[grpc.StatusCode]
    """What a caller of the API would get."""

    def __init_subclass__(cls, *, status: int, reason: str, code: grpc.StatusCode) -> None:
        cls.status, cls.reason, cls.code = status, reason, code


class SignedOut(PageProblem, status=401, reason="UNAUTHENTICATED", code=grpc.StatusCode.UNAUTHENTICATED):
    """There is no session, or nobody is signed in."""


class Forbidden(PageProblem, status=403, reason="CROSS_SITE", code=grpc.StatusCode.PERMISSION_DENIED):
    """The request comes from another site or another session."""


class TooLong(PageProblem, status=413, reason="TOO_LARGE", code=grpc.StatusCode.INVALID_ARGUMENT):
    """The body is too long."""


def answer_problem(request: Request, error: Exception) -> Response:
    """Return the answer to a failed request."""
    if isinstance(error, PageProblem):
        return _answer(request, error.status, error.reason, str(error))
    problem = known(error)
    status = _STATUS.get(CODES[problem.reason], 500)
    reason = ErrorReason.Name(problem.reason).removeprefix("ERROR_REASON_")
    return _answer(request, status, reason, problem.message)


def _answer(request: Request, status: int, reason: str, message: str) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", "*/*"):
        title = _TITLES.get(status, "Something went wrong")
        return page("problem.html", status_code=status, title=title, message=message)
    return JSONResponse({"reason": reason, "message": message}, status)


def answer_http_problem(request: Request, error: Exception) -> Response:
    """Return the answer if there is no page, or not for this method."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _answer(request, status, "RESOURCE_NOT_FOUND", f"no page at {request.url.path[:200]}")

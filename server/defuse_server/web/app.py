"""The addresses of the pages."""

from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from defuse_server.backend import Backend
from defuse_server.errors import DefuseError
from defuse_server.host.redis_client import UNREACHABLE
from defuse_server.web.audits.pages import AuditPages
from defuse_server.web.datasets.pages import DatasetPages
from defuse_server.web.guard import Guard
from defuse_server.web.labeling.pages import LabelPages
from defuse_server.web.labeling.tasks import LabelTasks
from defuse_server.web.page_metrics import PageMetrics
from defuse_server.web.problems import PageProblem, answer_http_problem, answer_problem
from defuse_server.web.rendering import page
from defuse_server.web.sessions import Sessions
from defuse_server.web.sign_in import SignIn, admitted_only

STATIC: Final = Path(__file__).parent / "static"


def create_app(backend: Backend) -> Starlette:
    """Return the application with all pages of a backend."""
    settings = backend.settings
    sessions = Sessions(backend.resources.sealer, settings.token, backend.access)
    sign_in = SignIn(sessions, secure=settings.tls_cert is not None)
    routes: list[BaseRoute] = [
        Route("/", _home),
        Route("/healthz", _healthy),
        Route("/sign-in", sign_in.show),
        Route("/sign-in", sign_in.submit, methods=["POST"]),
        Route("/sign-out", sign_in.leave, methods=["POST"]),
        *_label_routes(backend, sessions),
        *_audit_routes(backend, sessions),
        *_dataset_routes(backend, sessions),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(PageMetrics), Middleware(Guard, sessions=sessions)],
        exception_handlers={
            **dict.fromkeys((DefuseError, PageProblem, *UNREACHABLE, Exception), answer_problem),
            HTTPException: answer_http_problem,
        },
    )


def _label_routes(backend: Backend, sessions: Sessions) -> list[BaseRoute]:
    pages, tasks = LabelPages(backend, sessions), LabelTasks(backend, sessions)
    lease = "LabelService/LeaseLabelTasks"
    return [
        Route(path, admitted_only(sessions, rpc, show), methods=methods)
        for path, rpc, show, methods in (
            ("/label", lease, pages.choose, ["GET"]),
            ("/label/{audit}", lease, pages.label, ["GET"]),
            ("/label/{audit}/tasks", lease, tasks.hold, ["POST"]),
            ("/label/{audit}/leave", "LabelService/ReleaseLabelTask", tasks.leave, ["POST"]),
            ("/label/{audit}/answer", "LabelService/SubmitLabel", tasks.answer, ["POST"]),
            ("/label/{audit}/skip", "LabelService/SkipLabelTask", tasks.skip, ["POST"]),
            ("/label/{audit}/undo", "LabelService/UndoLabel", tasks.undo, ["POST"]),
            ("/label/{audit}/samples/{handle}.png", lease, tasks.samples, ["GET"]),
            ("/label/{audit}/nearest/{handle}.png", lease, tasks.nearest_picture, ["GET"]),
        )
    ]


def _audit_routes(backend: Backend, sessions: Sessions) -> list[BaseRoute]:
    pages = AuditPages(backend)
    return [
        Route(path, admitted_only(sessions, "AuditService/ListBugs", show))
        for path, show in (
            ("/audits", pages.list),
            ("/audits/rows", pages.rows),
            ("/audits/{audit}", pages.show),
            ("/audits/{audit}/live", pages.live),
            ("/audits/{audit}/regions", pages.more),
            ("/audits/{audit}/regions/{number:int}/sheet.png", pages.sheet),
            ("/audits/{audit}/bugs/{number:int}/sheet.png", pages.bug_sheet),
        )
    ]


def _dataset_routes(backend: Backend, sessions: Sessions) -> list[BaseRoute]:
    pages = DatasetPages(backend)
    return [
        Route(path, admitted_only(sessions, "RegistryService/GetDataset", show))
        for path, show in (
            ("/datasets/{dataset}", pages.show),
            ("/datasets/{dataset}/classes.png", pages.class_sheet),
            ("/datasets/{dataset}/duplicates.png", pages.duplicate_sheet),
        )
    ]


async def _home(_request: Request) -> Response:
    return page("home.html")


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok")

"""The requests of the label page: leasing, answering, skipping and undoing tasks."""

from collections.abc import Sequence
from typing import Any, Final, cast

from defuse.v1.label_service_pb2 import LabelAnswer, LabelVerdict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from defuse_server import validation
from defuse_server.backend import Backend
from defuse_server.errors import InvalidRequest, LeaseLost, NotFound
from defuse_server.labels.task_contents import Shown
from defuse_server.validation import NOTE_CHARACTERS, Violations
from defuse_server.web.bodies import read_json, text_of, texts_of
from defuse_server.web.labeling.handles import Handles, Held
from defuse_server.web.labeling.pages import audit_name
from defuse_server.web.pictures import sheet_answer
from defuse_server.web.problems import SignedOut
from defuse_server.web.rendering import render
from defuse_server.web.sessions import Session, Sessions

HELD_MOST: Final = 4
"""Most tasks that a page may hold: the visible one, the next one, and those that were taken back."""
LEFT_S: Final = 5.0
"""How long a page that says that it goes away keeps its tasks: it may only be loaded again."""
_REASON_CHARACTERS: Final = 500
_VERDICTS: Final = {
    "mixed": LabelVerdict.LABEL_VERDICT_MIXED,
    "invalid": LabelVerdict.LABEL_VERDICT_INVALID,
    "cannot_tell": LabelVerdict.LABEL_VERDICT_CANNOT_TELL,
}


class LabelTasks:
    """Leases tasks to a page, extends the leases while it is open, and counts its answers."""

    def __init__(self, backend: Backend, sessions: Sessions) -> None:
        self._backend = backend
        self._labels = backend.labels
        self._labeling = backend.labeling
        self._sessions = sessions
        self._handles = Handles(backend.resources.sealer)

    async def hold(self, request: Request) -> Response:
        """Extend the page's leases, say which ones are lost, and lease tasks up to `want` in all.

        If `unseen` is true, the page was loaded again and also needs the content of the tasks that it holds.
        """
        audit, annotator, content = await self._asked(request)
        handles = texts_of(content, "held", HELD_MOST)
        want = content.get("want", 2)
        if not isinstance(want, int) or not 0 <= want <= HELD_MOST:
            raise InvalidRequest([("want", f"expected 0 to {HELD_MOST}, got {str(want)[:20]}")])
        lease_s = self._backend.settings.web_lease_s
        lost = [handle for handle in handles if not await self._extended(audit, annotator, handle, lease_s)]
        kept = [handle for handle in handles if handle not in lost]
        tasks = await self._again(audit, annotator, kept) if content.get("unseen") is True else []
        if len(kept) < want:
            tasks += await self._leased(audit, annotator, want - len(kept))
        # It tells nothing of any bug.
        advice = await self._labeling.advice(audit)
        progress = await self._progress(audit)
        return JSONResponse({"lost": lost, "tasks": tasks, "progress": progress, "advice": advice})

    async def leave(self, request: Request) -> Response:
        """End the leases of a page that goes away, soon: see `LEFT_S`."""
        audit, annotator, content = await self._asked(request)
        lease_s = min(LEFT_S, self._backend.settings.web_lease_s)
        for handle in texts_of(content, "held", HELD_MOST):
            await self._extended(audit, annotator, handle, lease_s)
        return Response(status_code=204)

    async def answer(self, request: Request) -> Response:
        """Count an answer. A repeated request gets the first answer again."""
        audit, annotator, content = await self._asked(request)
        held = await self._handles.open(annotator, audit, text_of(content, "handle"))
        note = _checked(content, "note", NOTE_CHARACTERS)
        await self._labels.submit(held.region, held.token, _answer_of(content.get("answer")), note)
        return JSONResponse({"progress": await self._progress(audit)})

    async def skip(self, request: Request) -> Response:
        """Give a task back for good, with a reason."""
        audit, annotator, content = await self._asked(request)
        held = await self._handles.open(annotator, audit, text_of(content, "handle"))
        reason = _checked(content, "reason", _REASON_CHARACTERS, least=1)
        await self._labels.skip(held.region, held.token, reason)
        return JSONResponse({"progress": await self._progress(audit)})

    async def undo(self, request: Request) -> Response:
        """Take an answer of this annotator back."""
        audit, annotator, content = await self._asked(request)
        held = await self._handles.open(annotator, audit, text_of(content, "handle"))
        await self._labels.undo(held.region, annotator)
        return JSONResponse({"progress": await self._progress(audit)})

    async def samples(self, request: Request) -> Response:
        """Show the picture of a task's samples."""
        shown = await self._labeling.sheets((await self._opened(request)).region)
        return await sheet_answer(self._backend.store, shown.sheet)

    async def nearest_picture(self, request: Request) -> Response:
        """Show the picture of the dataset's items nearest to a task's samples.

        It shows no labels, which would reveal the label of the seeds.
        """
        shown = await self._labeling.sheets((await self._opened(request)).region)
        return await sheet_answer(self._backend.store, shown.nearest_sheet)

    async def _asked(self, request: Request) -> tuple[str, str, dict[str, Any]]:
        content = await read_json(request, self._sessions)
        return audit_name(request), _annotator(request), content

    async def _opened(self, request: Request) -> Held:
        return await self._handles.open(
            _annotator(request), audit_name(request), request.path_params["handle"]
        )

    async def _extended(self, audit: str, annotator: str, handle: str, lease_s: float) -> bool:
        """Let a lease end in `lease_s` from now, and return whether the page holds it still."""
        try:
            held = await self._handles.open(annotator, audit, handle)
            await self._labels.extend(held.region, held.token, lease_s)
        except (LeaseLost, NotFound):
            return False
        return True

    async def _leased(self, audit: str, annotator: str, count: int) -> list[dict[str, str]]:
        leased = await self._labels.lease(audit, annotator, count, self._backend.settings.web_lease_s)
        return [
            _task(
                audit,
                await self._handles.seal(annotator, task.region, task.lease_token),
                await self._labeling.sheets(task.region),
            )
            for task in leased
        ]

    async def _again(self, audit: str, annotator: str, handles: Sequence[str]) -> list[dict[str, str]]:
        tasks: list[dict[str, str]] = []
        for handle in handles:
            held = await self._handles.open(annotator, audit, handle)
            tasks.append(_task(audit, handle, await self._labeling.sheets(held.region)))
        return tasks

    async def _progress(self, audit: str) -> dict[str, int]:
        counts = await self._labeling.progress(audit)
        if counts.bug_count:
            return {"total": counts.bug_count, "left": counts.open_bug_count}
        left = counts.unlabeled_count + counts.leased_count
        return {"total": counts.region_count, "left": left}


def _annotator(request: Request) -> str:
    session = cast("Session | None", request.state.session)
    if session is None or not session.annotator:
        raise SignedOut("expected an annotator who has signed in")
    return session.annotator


def _task(audit: str, handle: str, shown: Shown) -> dict[str, str]:
    base = f"/label/{audit.partition('/')[2]}"
    address = f"{base}/samples/{handle}.png"
    content = render(
        "label_task.html",
        sheet=shown.sheet,
        address=address,
        nearest_sheet=shown.nearest_sheet,
        nearest_address=f"{base}/nearest/{handle}.png",
        handle=handle,
    )
    return {"handle": handle, "picture": address, "html": content}


def _answer_of(answer: Any) -> LabelAnswer:
    """Return the answer in `{"label": 3}` or `{"verdict": "mixed"}`. Raises `InvalidRequest`."""
    if isinstance(answer, dict):
        given = cast("dict[str, Any]", answer)
        label, verdict = given.get("label"), given.get("verdict")
        if isinstance(label, int) and not isinstance(label, bool) and -(2**31) <= label < 2**31:
            return LabelAnswer(label=label)
        if isinstance(verdict, str) and verdict in _VERDICTS:
            return LabelAnswer(verdict=_VERDICTS[verdict])
    expected = "expected a label, a number, or one of the verdicts mixed, invalid, cannot_tell"
    raise InvalidRequest([("answer", f"{expected}; got {str(answer)[:100]!r}")])


def _checked(content: dict[str, Any], field: str, most: int, least: int = 0) -> str:
    text = text_of(content, field)
    with Violations() as violations:
        validation.text(violations, field, text, most, least)
    return text

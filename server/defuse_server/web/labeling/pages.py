"""The pages of annotators: the choice of a set, and the page that labels it."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, cast

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.registry_service_pb2 import Dataset
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.requests import Request
from starlette.responses import Response

from defuse_server.backend import Backend
from defuse_server.errors import InvalidRequest, NotFound
from defuse_server.labels.region_label import OPEN_STATES
from defuse_server.labels.task_contents import class_names_of
from defuse_server.names import audit_id
from defuse_server.validation import NOTE_CHARACTERS
from defuse_server.web.labeling.keys import SEARCH_KEY, class_keys
from defuse_server.web.rendering import page
from defuse_server.web.sessions import Session, Sessions
from defuse_server.web.sign_in import sign_in_first

_SETS_SHOWN: Final = 50


@dataclass(frozen=True)
class LabelSet:
    """An audit as annotators see it: without what was searched for or found."""

    id: str
    name: str
    made: Timestamp
    count: int
    open_count: int
    """Number of its tasks that wait for annotators."""


class LabelPages:
    """Pages that show no prediction, no seed's label, and no link to the audits."""

    def __init__(self, backend: Backend, sessions: Sessions) -> None:
        self._backend = backend
        self._sessions = sessions

    async def choose(self, request: Request) -> Response:
        """Show the sets with something to label, newest first."""
        session = cast("Session | None", request.state.session)
        if session is None or not session.annotator:
            return sign_in_first(request)
        audits, _ = await self._backend.resources.list(Audit, _SETS_SHOWN, "")
        sets = await asyncio.gather(*(self._set(audit) for audit in audits if audit.region_count))
        shown = sorted(sets, key=lambda entry: entry.open_count == 0)
        return page("label_choice.html", sets=shown, **await self._base(session, "/label"))

    async def label(self, request: Request) -> Response:
        """Show the page for one set. The page leases tasks by other requests, so loading it is safe."""
        session = cast("Session | None", request.state.session)
        if session is None or not session.annotator:
            return sign_in_first(request)
        audit = audit_name(request)
        record = await self._backend.resources.fetch(Audit, audit)
        class_names = await class_names_of(self._backend.resources, record)
        keys = class_keys(len(class_names))
        return page(
            "label.html",
            audit_id=audit_id(audit),
            classes=list(zip(range(len(class_names)), class_names, keys, strict=True)),
            searched=not any(keys),
            search_key=SEARCH_KEY,
            note_characters=NOTE_CHARACTERS,
            lease_s=self._backend.settings.web_lease_s,
            **await self._base(session, f"/label/{audit_id(audit)}"),
        )

    async def _set(self, audit: Audit) -> LabelSet:
        dataset = await self._backend.resources.fetch(Dataset, audit.dataset)
        labels = (await self._backend.labeling.task_states(audit.name)).values()
        return LabelSet(
            id=audit_id(audit.name),
            name=dataset.display_name or "Unnamed images",
            made=audit.times.create_time,
            count=len(labels),
            open_count=sum(label.state in OPEN_STATES for label in labels),
        )

    async def _base(self, session: Session, here: str) -> dict[str, Any]:
        csrf = await self._sessions.csrf_token(session)
        return {"annotator": session.annotator, "csrf": csrf, "here": here}


def audit_name(request: Request) -> str:
    """Return the audit in a request's path. Raises `NotFound`."""
    name = f"audits/{request.path_params['audit']}"
    try:
        audit_id(name)
    except InvalidRequest:
        raise NotFound(name[:100]) from None
    return name

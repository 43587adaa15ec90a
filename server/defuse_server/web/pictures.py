"""Serves contact sheets from the artifact store."""

from typing import Final

from defuse.v1.models_pb2 import ContactSheet
from starlette.responses import Response

from defuse_server.errors import NotFound
from defuse_server.names import artifact_sha256
from defuse_server.store.artifacts import ArtifactStore

# The content of an address never changes. It is private, because it needs a session.
_CACHE: Final = "private, max-age=3600, immutable"


async def sheet_answer(store: ArtifactStore, sheet: ContactSheet) -> Response:
    """Return the PNG of a contact sheet. Raises `NotFound`."""
    return await picture_answer(store, sheet.artifact)


async def picture_answer(store: ArtifactStore, artifact: str) -> Response:
    """Return the PNG that is kept as an artifact. Raises `NotFound`, also if the name is empty."""
    if not artifact:
        raise NotFound("the picture")
    data = await store.read(artifact_sha256(artifact))
    return Response(data, media_type="image/png", headers={"Cache-Control": _CACHE})

"""ArtifactService."""

import asyncio
from collections.abc import AsyncIterator

from defuse.v1 import artifact_service_pb2 as pb

from defuse_server import names
from defuse_server.access.caller import CALLER
from defuse_server.access.limits import Charge
from defuse_server.api.client_streams import data_of, read_header
from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.errors import InvalidRequest
from defuse_server.store.uploads import PART_BYTES, Uploads

_DOWNLOAD_BYTES = 256 * 1024


class ArtifactService:
    """Uploads and downloads bytes; see artifact_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._store = backend.store
        self._uploads = backend.uploads
        self._limits = backend.limits

    async def upload(self, requests: AsyncIterator[pb.UploadRequest]) -> pb.Artifact:
        """Keep the data in parts, and answer with the artifact once it is complete."""
        header: pb.UploadHeader = await read_header(requests)
        upload = await self._uploads.begin(header)
        if not upload.artifact:
            left = upload.size_bytes - upload.committed_bytes
            async with self._limits.upload(CALLER.get(), left) as charge:
                await _receive(self._uploads, upload, requests, charge)
        return await self._uploads.finish(header.upload)

    async def get_upload(self, request: pb.GetUploadRequest) -> pb.Upload:
        """Return how far an upload is."""
        return await self._uploads.get(request.name)

    async def download(self, request: pb.DownloadRequest, write: Write) -> None:
        """Stream the bytes from an offset on."""
        artifact = await self._store.stat(names.artifact_sha256(request.name))
        if not 0 <= request.offset <= artifact.size_bytes:
            raise InvalidRequest([("offset", f"expected 0 to {artifact.size_bytes}, got {request.offset}")])
        offset = request.offset
        while data := await self._store.read(artifact.sha256, offset, _DOWNLOAD_BYTES):
            await write(pb.DownloadResponse(data=data, offset=offset))
            offset += len(data)

    async def get_artifact(self, request: pb.GetArtifactRequest) -> pb.Artifact:
        """Return the artifact. Raises `NotFound`."""
        return await self._store.stat(names.artifact_sha256(request.name))


async def _receive(
    uploads: Uploads, upload: pb.Upload, requests: AsyncIterator[pb.UploadRequest], charge: Charge
) -> None:
    """Append the stream's data in parts. If the stream breaks, the data received so far is kept."""
    part, offset = bytearray(), upload.committed_bytes
    try:
        async for request in requests:
            data = data_of(request)
            charge.used_bytes += len(data)
            part += data
            if len(part) >= PART_BYTES or offset + len(part) > upload.size_bytes:
                data, part = bytes(part), bytearray()
                await uploads.append(upload.name, offset, data)
                offset += len(data)
    finally:
        if part:
            # Shielded: if the client goes away, its stream is cancelled, and more than once.
            await asyncio.shield(uploads.append(upload.name, offset, bytes(part)))

"""Uploads: bytes arrive in parts, and become an artifact once all parts are there."""

import uuid
from pathlib import Path

from defuse.v1.artifact_service_pb2 import Artifact, Upload, UploadHeader
from redis.asyncio import Redis

from defuse_server import errors, redis_keys
from defuse_server.host.redis_client import Script
from defuse_server.names import artifact_name, is_sha256, is_uuid4, upload_id
from defuse_server.store.artifacts import ArtifactStore

PART_BYTES = 4 * 1024 * 1024
"""Size of a part: the API collects messages up to this size before it appends them."""

_FOLDER = Path(__file__).parent


class Uploads:
    """The uploads of all clients. An upload that receives nothing for `ttl_s` seconds is forgotten.

    Redis knows which parts count. A part that was written but not committed (its writer was killed, or
    another writer was faster) stays in the upload's folder and is removed with it.
    """

    def __init__(self, store: ArtifactStore, redis: Redis, *, max_bytes: int, ttl_s: int) -> None:
        self._store = store
        self._redis = redis
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._begin = Script(redis, _FOLDER / "uploads_begin.lua")
        self._append = Script(redis, _FOLDER / "uploads_append.lua")

    async def begin(self, header: UploadHeader) -> Upload:
        """Open an upload, or find it again. In the answer, `artifact` is set if the upload is finished.

        Raises `InvalidRequest`, `TooLarge`, `OffsetMismatch` if `header.offset` is not the committed size.
        """
        self._check(header)
        arguments = [header.sha256, header.size_bytes, self._ttl_s]
        if not await self._begin([redis_keys.upload(header.upload)], arguments):
            raise errors.InvalidRequest(
                [("header.upload", "was opened for other bytes (sha256 or size_bytes): use a new UUID")]
            )
        upload = await self.get(header.upload)
        if not upload.artifact and header.offset != upload.committed_bytes:
            raise _offset_mismatch(header.upload, header.offset, upload.committed_bytes)
        return upload

    async def append(self, name: str, offset: int, data: bytes) -> Upload:
        """Keep one part: when this returns, `data` survives a crash.

        Every call writes a file, so collect messages up to `PART_BYTES` first. If the stream breaks, append
        what you have collected.

        Raises `InvalidRequest`, `NotFound`, `OffsetMismatch`, `SizeMismatch` if the upload would exceed its
        announced size. `data` is not kept then.
        """
        part = f"{offset:020d}-{uuid.uuid4().hex}"
        path = f"{_folder(name)}/{part}"
        await self._store.write_part(path, data)
        # Written before it is committed, so that every part that Redis counts exists.
        outcome, committed = await self._append(
            [redis_keys.upload(name), redis_keys.upload_parts(name)], [offset, len(data), part, self._ttl_s]
        )
        if outcome != b"committed":
            await self._store.remove(path)
        if outcome == b"missing":
            raise errors.NotFound(name)
        if outcome == b"offset":
            raise _offset_mismatch(name, offset, int(committed))
        upload = await self.get(name)
        if outcome == b"size":
            raise _size_mismatch(upload, offset + len(data))
        return upload

    async def get(self, name: str) -> Upload:
        """Return how far an upload is. Raises `InvalidRequest`, `NotFound`."""
        upload, _ = await self._read(name)
        return upload

    async def finish(self, name: str) -> Artifact:
        """Make the artifact from the parts. A finished upload returns its artifact again.

        Raises `InvalidRequest`, `NotFound`, `SizeMismatch` if bytes are missing (the upload is kept), and
        `DigestMismatch` if the digest is another (the upload is discarded).
        """
        upload, parts = await self._read(name)
        if not upload.artifact:
            try:
                await self._compose(upload, parts)
            except errors.BackendUnavailable:
                # If parts vanish while they are read, another call of `finish` composed them.
                if not (await self.get(name)).artifact:
                    raise
        name = artifact_name(upload.sha256)
        return Artifact(name=name, sha256=upload.sha256, size_bytes=upload.size_bytes)

    async def sweep(self) -> int:
        """Remove the parts of forgotten uploads, and return the number of those uploads."""
        swept = 0
        for folder in await self._store.folders("uploads"):
            known = await self._redis.exists(redis_keys.upload(f"uploads/{folder}"))
            if not known and is_uuid4(folder):
                await self._store.remove(f"uploads/{folder}")
                swept += 1
        return swept

    async def _read(self, name: str) -> tuple[Upload, list[str]]:
        """Return the upload and the file names of its parts, read in one transaction."""
        upload_id(name)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(redis_keys.upload(name))
            pipe.pexpiretime(redis_keys.upload(name))
            pipe.lrange(redis_keys.upload_parts(name), 0, -1)
            fields, expire_ms, parts = await pipe.execute()
        if not fields:
            raise errors.NotFound(name)
        upload = Upload(
            name=name,
            sha256=fields[b"sha256"].decode(),
            size_bytes=int(fields[b"size_bytes"]),
            committed_bytes=int(fields[b"committed_bytes"]),
            artifact=fields[b"artifact"].decode(),
        )
        upload.expire_time.FromMilliseconds(expire_ms)
        return upload, [part.decode() for part in parts]

    async def _compose(self, upload: Upload, parts: list[str]) -> None:
        if upload.committed_bytes != upload.size_bytes:
            raise _size_mismatch(upload, upload.committed_bytes)
        folder = _folder(upload.name)
        try:
            stored = await self._store.compose([f"{folder}/{part}" for part in parts], upload.sha256)
        except errors.DigestMismatch:
            await self._redis.delete(redis_keys.upload(upload.name), redis_keys.upload_parts(upload.name))
            await self._store.remove(folder)
            raise
        # The artifact exists before the upload names it, and the parts are removed last, so the upload can
        # be finished again after a crash at any point.
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(redis_keys.upload(upload.name), "artifact", stored.name)
            pipe.delete(redis_keys.upload_parts(upload.name))
            await pipe.execute()
        await self._store.remove(folder)

    def _check(self, header: UploadHeader) -> None:
        upload_id(header.upload, "header.upload")
        fields: list[tuple[str, str]] = []
        if not is_sha256(header.sha256):
            fields.append(("header.sha256", "expected 64 lower-case hexadecimal digits"))
        if header.size_bytes < 1:
            fields.append(("header.size_bytes", f"expected at least 1, got {header.size_bytes}"))
        if header.offset < 0:
            fields.append(("header.offset", f"expected at least 0, got {header.offset}"))
        if fields:
            raise errors.InvalidRequest(fields)
        if header.size_bytes > self._max_bytes:
            raise errors.TooLarge(
                f"expected an upload of at most {self._max_bytes} bytes, got {header.size_bytes}",
                figures={"max_bytes": str(self._max_bytes), "size_bytes": str(header.size_bytes)},
            )


def _folder(name: str) -> str:
    return f"uploads/{upload_id(name)}"


def _offset_mismatch(name: str, offset: int, committed: int) -> errors.OffsetMismatch:
    return errors.OffsetMismatch(
        f"{name} has {committed} bytes, and the data begins at {offset}: go on from {committed}",
        figures={"committed_bytes": str(committed), "offset": str(offset)},
    )


def _size_mismatch(upload: Upload, came: int) -> errors.SizeMismatch:
    return errors.SizeMismatch(
        f"{upload.name} was announced with {upload.size_bytes} bytes, got {came}; {upload.committed_bytes} "
        "are kept: go on from there",
        figures={"size_bytes": str(upload.size_bytes), "committed_bytes": str(upload.committed_bytes)},
    )

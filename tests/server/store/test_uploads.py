import asyncio
import hashlib
import os
import signal
import sys
import uuid
from pathlib import Path

import pytest
from defuse.v1.artifact_service_pb2 import UploadHeader
from defuse_server import redis_keys
from defuse_server.errors import (
    DefuseError,
    DigestMismatch,
    InvalidRequest,
    NotFound,
    OffsetMismatch,
    SizeMismatch,
    TooLarge,
)
from defuse_server.store.artifacts import ArtifactStore
from defuse_server.store.uploads import Uploads
from redis.asyncio import Redis

DATA = bytes(range(256)) * 40
SHA256 = hashlib.sha256(DATA).hexdigest()


def header(**fields: str | int) -> UploadHeader:
    present: dict[str, str | int] = {
        "upload": f"uploads/{uuid.uuid4()}",
        "sha256": SHA256,
        "size_bytes": len(DATA),
    }
    return UploadHeader(**(present | fields))  # pyright: ignore[reportArgumentType]


async def send(uploads: Uploads, name: str, data: bytes, offset: int = 0) -> None:
    """Append the data from `offset` on, in parts of 3000 bytes."""
    for start in range(offset, len(data), 3000):
        await uploads.append(name, start, data[start : start + 3000])


async def test_parts_become_an_artifact_and_are_cleared_away(uploads: Uploads, store: ArtifactStore) -> None:
    opened = header()
    assert (await uploads.begin(opened)).committed_bytes == 0
    await send(uploads, opened.upload, DATA)
    artifact = await uploads.finish(opened.upload)
    assert (artifact.name, artifact.size_bytes) == (f"artifacts/{SHA256}", len(DATA))
    assert await store.read(SHA256, 0, len(DATA)) == DATA
    assert await store.folders("uploads") == []


async def test_a_finished_upload_answers_its_artifact_again(uploads: Uploads) -> None:
    opened = header()
    await uploads.begin(opened)
    await send(uploads, opened.upload, DATA)
    artifact = await uploads.finish(opened.upload)
    assert (await uploads.begin(opened)).artifact == artifact.name
    assert await uploads.finish(opened.upload) == artifact
    with pytest.raises(OffsetMismatch):
        await uploads.append(opened.upload, len(DATA), b"more")


async def test_a_broken_upload_goes_on_where_it_stands(uploads: Uploads) -> None:
    opened = header()
    await uploads.begin(opened)
    await uploads.append(opened.upload, 0, DATA[:5000])
    assert (await uploads.get(opened.upload)).committed_bytes == 5000
    with pytest.raises(OffsetMismatch) as refused:
        await uploads.begin(opened)
    assert refused.value.figures["committed_bytes"] == "5000"
    opened.offset = 5000
    await uploads.begin(opened)
    await send(uploads, opened.upload, DATA, 5000)
    assert (await uploads.finish(opened.upload)).sha256 == SHA256


async def test_a_truncated_upload_is_refused_and_what_came_is_kept(uploads: Uploads) -> None:
    opened = header()
    await uploads.begin(opened)
    await uploads.append(opened.upload, 0, DATA[:-1])
    with pytest.raises(SizeMismatch):
        await uploads.finish(opened.upload)
    await uploads.append(opened.upload, len(DATA) - 1, DATA[-1:])
    assert (await uploads.finish(opened.upload)).sha256 == SHA256


async def test_more_bytes_than_announced_are_refused_and_not_kept(uploads: Uploads) -> None:
    opened = header()
    await uploads.begin(opened)
    await uploads.append(opened.upload, 0, DATA[:5000])
    with pytest.raises(SizeMismatch):
        await uploads.append(opened.upload, 5000, DATA[5000:] + b"!")
    assert (await uploads.get(opened.upload)).committed_bytes == 5000


@pytest.mark.parametrize("stored_before", [False, True])
async def test_bytes_with_another_digest_are_discarded(
    uploads: Uploads, store: ArtifactStore, stored_before: bool
) -> None:
    if stored_before:
        await store.put_bytes(DATA)
    opened = header()
    await uploads.begin(opened)
    await uploads.append(opened.upload, 0, DATA[:-1] + b"!")
    with pytest.raises(DigestMismatch):
        await uploads.finish(opened.upload)
    with pytest.raises(NotFound):
        await uploads.get(opened.upload)
    assert await store.folders("uploads") == []
    if not stored_before:
        with pytest.raises(NotFound):
            await store.stat(SHA256)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"upload": "uploads/../x"}, InvalidRequest),
        ({"upload": f"uploads/{uuid.uuid1()}"}, InvalidRequest),
        ({"sha256": "0" * 63}, InvalidRequest),
        ({"sha256": SHA256.upper()}, InvalidRequest),
        ({"size_bytes": 0}, InvalidRequest),
        ({"offset": -1}, InvalidRequest),
        ({"offset": 1}, OffsetMismatch),
        ({"size_bytes": 1_000_001}, TooLarge),
    ],
)
async def test_a_header_that_cannot_be_served_is_refused(
    uploads: Uploads, fields: dict[str, str | int], refusal: type[DefuseError]
) -> None:
    with pytest.raises(refusal):
        await uploads.begin(header(**fields))


async def test_an_upload_stays_about_the_bytes_it_was_opened_for(uploads: Uploads) -> None:
    opened = header()
    await uploads.begin(opened)
    for other in ({"sha256": "0" * 64}, {"size_bytes": 1}):
        with pytest.raises(InvalidRequest):
            await uploads.begin(header(upload=opened.upload, **other))


async def test_of_two_streams_into_one_upload_each_part_counts_once(
    uploads: Uploads, store: ArtifactStore
) -> None:
    opened = header()
    await uploads.begin(opened)
    # The one that loses brings other bytes: they must not get in between.
    outcomes = await asyncio.gather(
        uploads.append(opened.upload, 0, DATA[:3000]),
        uploads.append(opened.upload, 0, b"?" * 4000),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes].count(OffsetMismatch) == 1
    committed = (await uploads.get(opened.upload)).committed_bytes
    assert committed == (4000 if isinstance(outcomes[0], OffsetMismatch) else 3000)


async def test_two_finishes_at_once_answer_the_same(uploads: Uploads) -> None:
    for _ in range(10):
        opened = header()
        await uploads.begin(opened)
        await send(uploads, opened.upload, DATA)
        answers = await asyncio.gather(*(uploads.finish(opened.upload) for _ in range(8)))
        assert {artifact.sha256 for artifact in answers} == {SHA256}


async def test_an_upload_to_nowhere_is_not_found(uploads: Uploads, store: ArtifactStore) -> None:
    nowhere = f"uploads/{uuid.uuid4()}"
    for call in (uploads.get(nowhere), uploads.finish(nowhere), uploads.append(nowhere, 0, b"x")):
        with pytest.raises(NotFound):
            await call


KILLED_UPLOADER = """
import asyncio, sys, time
from defuse.v1.artifact_service_pb2 import UploadHeader
from defuse_server.host.redis_client import connect
from defuse_server.store.artifacts import ArtifactStore
from defuse_server.store.uploads import Uploads

async def main(redis_url, folder, upload, sha256):
    store = ArtifactStore(folder)
    uploads = Uploads(store, connect(redis_url), max_bytes=10**6, ttl_s=3600)
    data = bytes(range(256)) * 40
    await uploads.begin(UploadHeader(upload=upload, sha256=sha256, size_bytes=len(data)))
    await uploads.append(upload, 0, data[:4000])
    await uploads.append(upload, 4000, data[4000:8000])
    # Written, and killed before it is committed.
    await store.write_part(f"{upload}/{8000:020d}-dead", data[8000:9000])
    print("ready", flush=True)
    time.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_an_upload_whose_server_was_killed_between_parts_goes_on(
    uploads: Uploads, store: ArtifactStore, redis_url: str, tmp_path: Path
) -> None:
    name = f"uploads/{uuid.uuid4()}"
    uploader = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED_UPLOADER, redis_url, str(tmp_path / "store"), name, SHA256),
        stdout=asyncio.subprocess.PIPE,
    )
    assert uploader.stdout is not None
    assert await uploader.stdout.readline() == b"ready\n"
    os.kill(uploader.pid, signal.SIGKILL)
    await uploader.wait()

    assert (await uploads.get(name)).committed_bytes == 8000
    await uploads.begin(header(upload=name, offset=8000))
    await send(uploads, name, DATA, 8000)
    assert (await uploads.finish(name)).sha256 == SHA256
    assert await store.read(SHA256, 0, len(DATA)) == DATA
    assert await store.folders("uploads") == []


async def test_the_parts_of_forgotten_uploads_are_swept(
    uploads: Uploads, store: ArtifactStore, redis: Redis
) -> None:
    forgotten, alive = header(), header()
    for opened in (forgotten, alive):
        await uploads.begin(opened)
        await uploads.append(opened.upload, 0, DATA[:100])
    assert await redis.ttl(redis_keys.upload(alive.upload)) > 3500
    await redis.delete(redis_keys.upload(forgotten.upload))
    assert await uploads.sweep() == 1
    assert await store.folders("uploads") == [alive.upload.removeprefix("uploads/")]

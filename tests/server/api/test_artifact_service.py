"""Moving bytes."""

import asyncio
import hashlib
import uuid

import grpc
import pytest
from defuse.v1.artifact_service_pb2 import (
    DownloadRequest,
    GetArtifactRequest,
    GetUploadRequest,
    UploadHeader,
    UploadRequest,
)

DATA = bytes(range(256)) * 400
PIECE = 64 * 1024


def header(data: bytes = DATA, **fields) -> UploadHeader:
    values = {
        "upload": f"uploads/{uuid.uuid4()}",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        **fields,
    }
    return UploadHeader(**values)


def stream(header: UploadHeader, data: bytes):
    yield UploadRequest(header=header)
    for start in range(0, len(data), PIECE):
        yield UploadRequest(data=data[start : start + PIECE])


async def download(stubs, name: str, offset: int = 0) -> bytes:
    data = b""
    async for message in stubs.artifacts.Download(DownloadRequest(name=name, offset=offset)):
        assert message.offset == offset + len(data)
        data += message.data
    return data


async def test_what_is_uploaded_can_be_downloaded(stubs):
    opened = header()
    artifact = await stubs.artifacts.Upload(stream(opened, DATA))
    assert artifact.name == f"artifacts/{opened.sha256}"
    assert artifact == await stubs.artifacts.GetArtifact(GetArtifactRequest(name=artifact.name))
    assert await download(stubs, artifact.name) == DATA
    assert await download(stubs, artifact.name, 100_000) == DATA[100_000:]
    assert await download(stubs, artifact.name, len(DATA)) == b""


async def test_an_upload_of_many_parts_arrives_whole(stubs):
    data = bytes(range(251)) * 40_000  # above two parts
    artifact = await stubs.artifacts.Upload(stream(header(data), data))
    assert artifact.size_bytes == len(data)
    assert await download(stubs, artifact.name) == data


async def test_a_truncated_upload_is_kept_and_resumed(stubs, refused):
    opened = header()
    with refused() as problem:
        await stubs.artifacts.Upload(stream(opened, DATA[:70_000]))
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SIZE_MISMATCH")
    upload = await stubs.artifacts.GetUpload(GetUploadRequest(name=opened.upload))
    assert (upload.committed_bytes, upload.artifact) == (70_000, "")

    opened.offset = upload.committed_bytes
    artifact = await stubs.artifacts.Upload(stream(opened, DATA[70_000:]))
    assert artifact.sha256 == opened.sha256
    upload = await stubs.artifacts.GetUpload(GetUploadRequest(name=opened.upload))
    assert upload.artifact == artifact.name


async def test_what_came_before_a_broken_stream_is_kept(stubs):
    opened = header()
    call = stubs.artifacts.Upload()
    await call.write(UploadRequest(header=opened))
    await call.write(UploadRequest(data=DATA[:50_000]))
    await asyncio.sleep(0.2)
    call.cancel()
    for _ in range(100):
        upload = await stubs.artifacts.GetUpload(GetUploadRequest(name=opened.upload))
        if upload.committed_bytes:
            break
        await asyncio.sleep(0.05)
    assert upload.committed_bytes == 50_000


async def test_a_finished_upload_is_answered_again(stubs):
    opened = header()
    first = await stubs.artifacts.Upload(stream(opened, DATA))
    assert await stubs.artifacts.Upload(stream(opened, DATA)) == first


async def test_a_wrong_digest_discards_the_upload(stubs, refused):
    opened = header(sha256=hashlib.sha256(b"other").hexdigest())
    with refused() as problem:
        await stubs.artifacts.Upload(stream(opened, DATA))
    assert (problem.code, problem.reason) == (grpc.StatusCode.DATA_LOSS, "DIGEST_MISMATCH")
    with refused() as problem:
        await stubs.artifacts.GetUpload(GetUploadRequest(name=opened.upload))
    assert problem.code is grpc.StatusCode.NOT_FOUND


async def test_more_bytes_than_announced(stubs, refused):
    opened = header(size_bytes=1000)
    with refused() as problem:
        await stubs.artifacts.Upload(stream(opened, DATA))
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SIZE_MISMATCH")


async def test_an_offset_where_the_upload_does_not_stand(stubs, refused):
    with refused() as problem:
        await stubs.artifacts.Upload(stream(header(offset=10), DATA[10:]))
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OFFSET_MISMATCH")
    assert problem.figures["committed_bytes"] == "0"


async def test_more_than_this_server_takes(stubs, refused):
    with refused() as problem:
        await stubs.artifacts.Upload(stream(header(size_bytes=10**12), b""))
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOO_LARGE")


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "header"),
        ([UploadRequest(data=b"x")], "header"),
        ([UploadRequest(header=header(upload="uploads/1"))], "header.upload"),
        ([UploadRequest(header=header(sha256="ABC"))], "header.sha256"),
        ([UploadRequest(header=header(size_bytes=0))], "header.size_bytes"),
        ([UploadRequest(header=header()), UploadRequest(header=header())], "data"),
        ([UploadRequest(header=header()), UploadRequest(data=bytes(1024 * 1024 + 1))], "data"),
    ],
)
async def test_malformed_uploads(stubs, refused, messages, field):
    with refused() as problem:
        await stubs.artifacts.Upload(iter(messages))
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert field in problem.fields


async def test_unknown_artifacts_and_uploads(stubs, refused):
    name = f"artifacts/{'0' * 64}"
    with refused() as problem:
        await stubs.artifacts.GetArtifact(GetArtifactRequest(name=name))
    assert (problem.code, problem.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    with refused() as problem:
        await download(stubs, name)
    assert problem.code is grpc.StatusCode.NOT_FOUND
    with refused() as problem:
        await stubs.artifacts.GetUpload(GetUploadRequest(name=f"uploads/{uuid.uuid4()}"))
    assert problem.code is grpc.StatusCode.NOT_FOUND
    with refused() as problem:
        await stubs.artifacts.GetArtifact(GetArtifactRequest(name="artifacts/../../etc/passwd"))
    assert problem.reason == "INVALID_FIELD"


@pytest.mark.parametrize("offset", [-1, 4])
async def test_a_download_from_beyond_the_end(stubs, refused, records, offset):
    name = await records.artifact(b"abc")
    with refused() as problem:
        await download(stubs, name, offset)
    assert (problem.code, problem.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("offset",))

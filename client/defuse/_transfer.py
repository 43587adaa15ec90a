"""Moving files to the server and back, over broken connections."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from defuse._flow import (
    DEFAULT_TIMEOUT_S,
    Flow,
    OpenStream,
    Receive,
    SendStream,
    Stream,
    blocking,
    unary,
    wait_or_raise,
)
from defuse._requests import Named, name_of
from defuse._retry import Retries
from defuse.errors import ArgumentError, CallFailed, DataLoss, FailedPrecondition, NotFound, Unavailable
from defuse.v1.artifact_service_pb2 import (
    Artifact,
    DownloadRequest,
    DownloadResponse,
    GetArtifactRequest,
    GetUploadRequest,
    Upload,
    UploadHeader,
    UploadRequest,
)
from defuse.v1.error_reason_pb2 import ErrorReason
from defuse.v1.registry_service_pb2 import Classifier, Dataset, GetClassifierRequest, GetDatasetRequest

CHUNK_BYTES = 64 * 1024
SLOWEST_BYTES_PER_S = 64 * 1024
"""A transfer that takes longer than its size at this rate, and `timeout_s`, is given up."""

Path_ = str | os.PathLike[str]


@dataclass(frozen=True)
class TransferProgress:
    """How far an upload or a download is."""

    path: Path
    done_bytes: int
    total_bytes: int


OnTransfer = Callable[[TransferProgress], None]


def get_artifact(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Artifact]:
    """Say how large an artifact is. Raises NotFound."""
    request = GetArtifactRequest(name=name_of(name))
    return unary("ArtifactService/GetArtifact", request, Artifact, timeout_s)


def upload(
    path: Path_, *, on_progress: OnTransfer | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[Artifact]:
    """Upload a file, or nothing where the server has these bytes already; a broken upload is resumed.

    `timeout_s` bounds the time without any progress. Raises OSError, ArgumentError for an empty file,
    DataLoss for a file that changes under the upload.
    """
    source = Path(path)
    digest, size_bytes = yield from blocking(lambda: _digest_of(source))
    if size_bytes == 0:
        raise ArgumentError(f"{source} is empty; expected a file with at least one byte")
    report = _reporter(source, size_bytes, on_progress)
    try:
        artifact = yield from get_artifact(f"artifacts/{digest}", timeout_s=timeout_s)
    except NotFound:
        header = UploadHeader(upload=f"uploads/{uuid.uuid4()}", sha256=digest, size_bytes=size_bytes)
        artifact = yield from _send(source, header, report, timeout_s)
    report(size_bytes)
    return artifact


def _send(
    source: Path, header: UploadHeader, report: Callable[[int], None], timeout_s: float | None
) -> Flow[Artifact]:
    retries = Retries(timeout_s)
    while True:
        limit_s = _limit_s(header.size_bytes - header.offset, timeout_s)
        requests = _requests(source, header, report)
        try:
            outcome = yield SendStream("ArtifactService/Upload", requests, Artifact, limit_s)
            return cast(Artifact, outcome)
        except (Unavailable, FailedPrecondition) as error:
            # The server may still be storing what an attempt sent when the next one asks how far it is.
            if isinstance(error, FailedPrecondition) and not _is_offset_mismatch(error):
                raise
            yield from wait_or_raise(retries, error, "ArtifactService/Upload")
        stored = yield from _stored(header.upload, timeout_s)
        if stored.artifact:
            return (yield from get_artifact(stored.artifact, timeout_s=timeout_s))
        if stored.committed_bytes > header.offset:
            retries.progressed()
        header.offset = stored.committed_bytes


def _is_offset_mismatch(error: CallFailed) -> bool:
    return error.reason == ErrorReason.ERROR_REASON_OFFSET_MISMATCH


def _stored(name: str, timeout_s: float | None) -> Flow[Upload]:
    try:
        return (yield from unary("ArtifactService/GetUpload", GetUploadRequest(name=name), Upload, timeout_s))
    except NotFound:
        return Upload(name=name)


def _requests(source: Path, header: UploadHeader, report: Callable[[int], None]) -> Iterator[UploadRequest]:
    yield UploadRequest(header=header)
    sent = header.offset
    with source.open("rb") as file:
        file.seek(sent)
        while chunk := file.read(min(CHUNK_BYTES, header.size_bytes - sent)):
            yield UploadRequest(data=chunk)
            sent += len(chunk)
            report(sent)


def download(
    artifact: Named,
    path: Path_,
    *,
    on_progress: OnTransfer | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[Path]:
    """Download an artifact, or a classifier's or a dataset's, to a file; return its path.

    The file appears whole and with the right digest, or not at all; one of that name is replaced. A broken
    download is resumed; `timeout_s` bounds the time without any progress. Raises NotFound, DataLoss, OSError.
    """
    target = Path(path)
    name = yield from _artifact_name(name_of(artifact), timeout_s)
    described = yield from get_artifact(name, timeout_s=timeout_s)
    report = _reporter(target, described.size_bytes, on_progress)
    # In the target's own folder: a file can't be renamed to another file system.
    descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            digest = yield from _receive(described, file, report, timeout_s)
        if digest != described.sha256:
            raise DataLoss(
                f"{name}: expected the digest {described.sha256}, the bytes have {digest}; try again",
                reason=ErrorReason.ERROR_REASON_DIGEST_MISMATCH,
            )
        put_in_place(part, target)
    finally:
        Path(part).unlink(missing_ok=True)
    return target


def _receive(
    artifact: Artifact, file: BinaryIO, report: Callable[[int], None], timeout_s: float | None
) -> Flow[str]:
    retries = Retries(timeout_s)
    digest = hashlib.sha256()
    offset = 0
    while True:
        request = DownloadRequest(name=artifact.name, offset=offset)
        limit_s = _limit_s(artifact.size_bytes - offset, timeout_s)
        stream: Stream | None = None
        try:
            stream = cast(
                Stream, (yield OpenStream("ArtifactService/Download", request, DownloadResponse, limit_s))
            )
            while (message := cast("DownloadResponse | None", (yield Receive(stream)))) is not None:
                data = message.data
                yield from blocking(lambda data=data: _store(data, file, digest.update))
                offset += len(data)
                retries.progressed()
                report(offset)
            return digest.hexdigest()
        except Unavailable as error:
            yield from wait_or_raise(retries, error, "ArtifactService/Download")
        finally:
            if stream is not None:
                stream.cancel()


def _store(data: bytes, file: BinaryIO, update: Callable[[bytes], None]) -> None:
    file.write(data)
    update(data)


def _artifact_name(name: str, timeout_s: float | None) -> Flow[str]:
    match name.partition("/")[0]:
        case "artifacts":
            return name
        case "classifiers":
            request = GetClassifierRequest(name=name)
            return (
                yield from unary("RegistryService/GetClassifier", request, Classifier, timeout_s)
            ).artifact
        case "datasets":
            request = GetDatasetRequest(name=name)
            return (yield from unary("RegistryService/GetDataset", request, Dataset, timeout_s)).artifact
        case _:
            raise ArgumentError(f"expected artifacts/..., classifiers/... or datasets/..., got {name!r}")


def _digest_of(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()


def _limit_s(size_bytes: int, timeout_s: float | None) -> float | None:
    return None if timeout_s is None else timeout_s + size_bytes / SLOWEST_BYTES_PER_S


def _reporter(path: Path, total_bytes: int, on_progress: OnTransfer | None) -> Callable[[int], None]:
    if on_progress is None:
        return lambda done_bytes: None
    return lambda done_bytes: on_progress(TransferProgress(path, done_bytes, total_bytes))


def put_in_place(part: str, target: Path) -> None:
    """Give a finished temporary file its name, and the mode that a new file has."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(part, 0o666 & ~mask)
    os.replace(part, target)

"""Uploads and downloads, resumed when the connection breaks."""

import errno
import hashlib
import os
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from defuse._calls.flows import blocking, received, retried, unary, wait_or_raise
from defuse._calls.request_fields import Named, name_of
from defuse._calls.retries import Retries
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow, OpenStream, SendStream, method_of
from defuse._operations.resources import CLASSIFIERS, DATASETS
from defuse.errors import (
    ArgumentError,
    DataLoss,
    FailedPrecondition,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from defuse.messages import ErrorReason
from defuse.v1 import artifact_service_pb2 as pb

CHUNK_BYTES = 64 * 1024
SLOWEST_BYTES_PER_S = 64 * 1024
"""A transfer may take `timeout_s` and the time that its bytes need at this rate."""

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class TransferProgress:
    """How far an upload or a download is."""

    path: Path
    done_bytes: int
    total_bytes: int


OnTransfer = Callable[[TransferProgress], None]


def get_artifact(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[pb.Artifact]:
    """Return an artifact's size and digest. Raises `NotFound`."""
    return unary(pb.GetArtifactRequest(name=name_of(name)), pb.Artifact, timeout_s)


def upload(
    path: PathLike, *, on_progress: OnTransfer | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> Flow[pb.Artifact]:
    """Upload a file and return its artifact. Nothing is sent if the server has these bytes already.

    A broken upload is resumed; `timeout_s` bounds the time without any progress. Raises `OSError`,
    `ArgumentError` for an empty file, or `DataLoss` if the file changes during the upload.
    """
    source = Path(path)
    digest, size_bytes = yield from blocking(lambda: _digest_of(source))
    if size_bytes == 0:
        raise ArgumentError(f"expected a file with at least one byte, but {source} is empty")
    report = _reporter(source, size_bytes, on_progress)
    try:
        artifact = yield from get_artifact(f"artifacts/{digest}", timeout_s=timeout_s)
    except NotFound:
        header = pb.UploadHeader(upload=f"uploads/{uuid.uuid4()}", sha256=digest, size_bytes=size_bytes)
        artifact = yield from _send(source, header, report, timeout_s)
    report(size_bytes)
    return artifact


def _send(
    source: Path, header: pb.UploadHeader, report: Callable[[int], None], timeout_s: float | None
) -> Flow[pb.Artifact]:
    retries = Retries(timeout_s)
    while True:
        limit_s = transfer_limit_s(header.size_bytes - header.offset, timeout_s)
        requests = _requests(source, header, report)
        try:
            return cast(pb.Artifact, (yield SendStream(pb.UploadRequest, requests, pb.Artifact, limit_s)))
        except (Unavailable, ResourceExhausted, FailedPrecondition) as error:
            # The server may still be storing what an attempt sent when the next one asks how far it is.
            mismatch = error.reason == ErrorReason.ERROR_REASON_OFFSET_MISMATCH
            if isinstance(error, FailedPrecondition) and not mismatch:
                raise
            if isinstance(error, ResourceExhausted) and not error.retry_delay_s:
                raise
            yield from wait_or_raise(retries, error, method_of(pb.UploadRequest))
        stored = yield from _stored(header.upload, timeout_s)
        if stored.artifact:
            return (yield from get_artifact(stored.artifact, timeout_s=timeout_s))
        if stored.committed_bytes > header.offset:
            retries.progressed()
        header.offset = stored.committed_bytes


def _stored(name: str, timeout_s: float | None) -> Flow[pb.Upload]:
    try:
        return (yield from unary(pb.GetUploadRequest(name=name), pb.Upload, timeout_s))
    except NotFound:
        return pb.Upload(name=name)


def _requests(
    source: Path, header: pb.UploadHeader, report: Callable[[int], None]
) -> Iterator[pb.UploadRequest]:
    yield pb.UploadRequest(header=header)
    sent = header.offset
    with source.open("rb") as file:
        file.seek(sent)
        while chunk := file.read(min(CHUNK_BYTES, header.size_bytes - sent)):
            yield pb.UploadRequest(data=chunk)
            sent += len(chunk)
            report(sent)


def download(
    artifact: Named,
    path: PathLike,
    *,
    on_progress: OnTransfer | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[Path]:
    """Download an artifact, or that of a classifier or a dataset, to a file and return the file's path.

    The file appears whole and with the right digest, or not at all. It replaces a file of the same name. A
    broken download is resumed; `timeout_s` bounds the time without any progress. Raises `NotFound`,
    `DataLoss`, `OSError`, or `ArgumentError` for the name of another resource.
    """
    target = Path(path)
    name = yield from _artifact_name(name_of(artifact), timeout_s)
    described = yield from get_artifact(name, timeout_s=timeout_s)
    report = _reporter(target, described.size_bytes, on_progress)
    with whole_file(target) as file:
        digest = yield from _receive(described, file, report, timeout_s)
        if digest != described.sha256:
            raise DataLoss(
                f"expected {name} with the digest {described.sha256}, got bytes with {digest}; try again",
                reason=ErrorReason.ERROR_REASON_DIGEST_MISMATCH,
            )
    return target


def _receive(
    artifact: pb.Artifact, file: BinaryIO, report: Callable[[int], None], timeout_s: float | None
) -> Flow[str]:
    retries, digest = Retries(timeout_s), hashlib.sha256()

    def keep(message: pb.DownloadResponse) -> Flow[None]:
        yield from blocking(lambda: _store(message.data, file, digest.update))
        retries.progressed()
        report(file.tell())

    def attempt() -> Flow[None]:
        offset = file.tell()
        request = pb.DownloadRequest(name=artifact.name, offset=offset)
        limit_s = transfer_limit_s(artifact.size_bytes - offset, timeout_s)
        return received(OpenStream(request, pb.DownloadResponse, limit_s), keep)

    yield from retried(method_of(pb.DownloadRequest), retries, attempt)
    return digest.hexdigest()


def _store(data: bytes, file: BinaryIO, update: Callable[[bytes], None]) -> None:
    file.write(data)
    update(data)


def _artifact_name(name: str, timeout_s: float | None) -> Flow[str]:
    match name.partition("/")[0]:
        case "artifacts":
            return name
        case "classifiers":
            return (yield from CLASSIFIERS.get(name, timeout_s=timeout_s)).artifact
        case "datasets":
            return (yield from DATASETS.get(name, timeout_s=timeout_s)).artifact
        case _:
            raise ArgumentError(f"expected artifacts/..., classifiers/... or datasets/..., got {name!r}")


def _digest_of(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()


def transfer_limit_s(size_bytes: int, timeout_s: float | None) -> float | None:
    """Return how long a transfer of so many bytes may take, in seconds; None without a limit."""
    return None if timeout_s is None else timeout_s + size_bytes / SLOWEST_BYTES_PER_S


def _reporter(path: Path, total_bytes: int, on_progress: OnTransfer | None) -> Callable[[int], None]:
    if on_progress is None:
        return lambda done_bytes: None
    return lambda done_bytes: on_progress(TransferProgress(path, done_bytes, total_bytes))


@contextmanager
def whole_file(target: Path, mode: int | None = None) -> Generator[BinaryIO]:
    """Write a file that appears whole at the end, or not at all if anything is raised.

    With `mode` None it gets the permissions of any new file. Raises `FileNotFoundError` about a missing
    folder.
    """
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(target.parent))
    # In the target's own folder: a file can't be renamed to another file system.
    descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        if mode is None:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        os.chmod(part, mode)
        os.replace(part, target)
    finally:
        Path(part).unlink(missing_ok=True)

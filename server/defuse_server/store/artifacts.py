"""Stores bytes under their digest: models, datasets, chunks, contact sheets."""

import asyncio
import errno
import functools
import hashlib
import os
import posixpath
import shutil
import uuid
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import fsspec
from defuse.v1.artifact_service_pb2 import Artifact
from fsspec.implementations.local import LocalFileSystem

from defuse_server.errors import BackendUnavailable, DigestMismatch, NotFound
from defuse_server.names import artifact_name, is_sha256

_PIECE_BYTES = 1024 * 1024

P = ParamSpec("P")
T = TypeVar("T")


def _on_thread(
    method: "Callable[Concatenate[ArtifactStore, P], T]",
) -> "Callable[Concatenate[ArtifactStore, P], Coroutine[Any, Any, T]]":
    """Make a blocking method async: it runs on a thread."""

    @functools.wraps(method)
    async def run(store: "ArtifactStore", *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(method, store, *args, **kwargs)
        except OSError as error:
            raise BackendUnavailable(
                f"the artifact store can't be used: {error.strerror or error}"
            ) from error

    return run


class ArtifactStore:
    """Content-addressed, immutable bytes in `artifacts/ab/abcdef...`. The same bytes are stored once.

    `url` is a folder or a URL that fsspec knows. Files are written under a temporary name and then moved, so
    a file that exists is complete. All methods raise `BackendUnavailable` if the store can't be reached.
    """

    def __init__(self, url: str) -> None:
        filesystem, root = fsspec.url_to_fs(url, use_listings_cache=False)
        self._fs: Any = filesystem
        self._root: str = root

    @_on_thread
    def put_file(self, path: Path) -> Artifact:
        """Store a file's bytes."""
        return self._keep(_pieces([path.open]), _digest(_pieces([path.open])))

    @_on_thread
    def put_bytes(self, data: bytes) -> Artifact:
        """Store bytes."""
        return self._keep([data], _digest([data]))

    @_on_thread
    def stat(self, sha256: str) -> Artifact:
        """Return the artifact with this digest. Raises `NotFound`."""
        return self._stat(sha256)

    @_on_thread
    def read(self, sha256: str, offset: int = 0, size_bytes: int = -1) -> bytes:
        """Return `size_bytes` bytes (-1: all) from `offset` on, fewer at the end. Raises `NotFound`."""
        return self._read(sha256, offset, size_bytes)

    @_on_thread
    def read_whole(self, sha256: str) -> bytes:
        """Return all bytes of a small artifact. Raises `NotFound`, `DigestMismatch` if they have changed."""
        content = self._read(sha256, 0, -1)
        came = hashlib.sha256(content).hexdigest()
        if came != sha256:
            raise _changed(sha256, came)
        return content

    @_on_thread
    def fetch_to(self, sha256: str, path: Path) -> None:
        """Write the artifact to a local file, completely or not at all.

        Raises `NotFound`, `DigestMismatch` if the store's bytes have changed.
        """
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        digest = hashlib.sha256()
        try:
            with self._fs.open(self._artifact_path(sha256), "rb") as stream, temporary.open("wb") as copy:
                while piece := stream.read(_PIECE_BYTES):
                    digest.update(piece)
                    copy.write(piece)
            if digest.hexdigest() != sha256:
                raise _changed(sha256, digest.hexdigest())
            temporary.replace(path)
        except FileNotFoundError:
            raise NotFound(artifact_name(sha256)) from None
        finally:
            temporary.unlink(missing_ok=True)

    @_on_thread
    def write_part(self, path: str, data: bytes) -> None:
        """Write a file of an unfinished upload. `path` is relative to the store."""
        self._write(self._path(path), [data])

    @_on_thread
    def compose(self, paths: list[str], sha256: str) -> Artifact:
        """Store the concatenation of parts, which stay. Raises `DigestMismatch` for another digest."""
        parts = [functools.partial(self._fs.open, self._path(path)) for path in paths]
        # Hashed even if the artifact exists: an uploader must have the bytes of the digest it announces.
        if self._fs.exists(self._artifact_path(sha256)):
            came = _digest(_pieces(parts))
            if came != sha256:
                raise _mismatch(sha256, came)
        return self._keep(_pieces(parts), sha256)

    @_on_thread
    def remove(self, path: str) -> None:
        """Remove a part or a folder of parts. Does nothing if it does not exist."""
        full = self._path(path)
        if self._fs.exists(full):
            self._fs.rm(full, recursive=True)

    @_on_thread
    def folders(self, path: str) -> list[str]:
        """Return the names in a folder of the store, none if there is no such folder."""
        full = self._path(path)
        if not self._fs.exists(full):
            return []
        return [posixpath.basename(entry) for entry in self._fs.ls(full, detail=False)]

    @_on_thread
    def probe(self) -> None:
        """Look at the store as its calls do. A store that nothing was written to yet is fine."""
        self._fs.exists(self._path("artifacts"))
        if isinstance(self._fs, LocalFileSystem):
            # `exists` hides errors: a folder that can't be read looks like none.
            nearest = Path(self._root)
            while not nearest.exists():
                nearest = nearest.parent
            os.listdir(nearest)
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, f"{nearest} is read-only to this process")

    @_on_thread
    def try_out(self) -> None:
        """Write, read and remove a small file, as the service does. Raises `DigestMismatch`."""
        path = self._path(f"temporary/{uuid.uuid4().hex}")
        content = uuid.uuid4().bytes
        self._write(path, [content])
        try:
            with self._fs.open(path, "rb") as stream:
                came = stream.read()
        finally:
            self._fs.rm_file(path)
        if came != content:
            raise _mismatch(_digest([content]), _digest([came]))

    @_on_thread
    def size_bytes(self) -> int:
        """Return the size of all files in the store, in bytes. It looks at each, which takes a while."""
        return sum(int(entry["size"]) for entry in self._fs.find(self._root, detail=True).values())

    @_on_thread
    def free_bytes(self) -> int | None:
        """Return how many bytes the disk of a local store has left, or None for a store elsewhere."""
        if not isinstance(self._fs, LocalFileSystem) or not self._fs.exists(self._root):
            return None
        return shutil.disk_usage(self._root).free

    def _path(self, path: str) -> str:
        return posixpath.join(self._root, path)

    def _artifact_path(self, sha256: str) -> str:
        if not is_sha256(sha256):
            raise NotFound(artifact_name(sha256))
        return self._path(f"artifacts/{sha256[:2]}/{sha256}")

    def _keep(self, pieces: Iterable[bytes], sha256: str) -> Artifact:
        path = self._artifact_path(sha256)
        if not self._fs.exists(path):
            self._write(path, pieces, sha256)
        return self._stat(sha256)

    def _write(self, path: str, pieces: Iterable[bytes], sha256: str | None = None) -> None:
        """Write a file in one step. Raises `DigestMismatch` if the bytes do not have the given digest."""
        self._fs.makedirs(posixpath.dirname(path), exist_ok=True)
        temporary = self._path(f"temporary/{uuid.uuid4().hex}")
        self._fs.makedirs(posixpath.dirname(temporary), exist_ok=True)
        digest = hashlib.sha256()
        try:
            with self._fs.open(temporary, "wb") as stream:
                for piece in pieces:
                    digest.update(piece)
                    stream.write(piece)
                if isinstance(self._fs, LocalFileSystem):
                    stream.flush()
                    os.fsync(stream.fileno())
            if sha256 is not None and digest.hexdigest() != sha256:
                raise _mismatch(sha256, digest.hexdigest())
            self._fs.mv(temporary, path)
        except BaseException:
            if self._fs.exists(temporary):
                self._fs.rm_file(temporary)
            raise

    def _stat(self, sha256: str) -> Artifact:
        path = self._artifact_path(sha256)
        try:
            size_bytes = int(self._fs.info(path)["size"])
        except FileNotFoundError:
            raise NotFound(artifact_name(sha256)) from None
        return Artifact(name=artifact_name(sha256), sha256=sha256, size_bytes=size_bytes)

    def _read(self, sha256: str, offset: int, size_bytes: int) -> bytes:
        try:
            with self._fs.open(self._artifact_path(sha256), "rb") as stream:
                stream.seek(offset)
                return stream.read(size_bytes)
        except FileNotFoundError:
            raise NotFound(artifact_name(sha256)) from None


def _pieces(files: Iterable[Callable[[str], Any]]) -> Iterator[bytes]:
    """Yield the bytes of files, one after the other. Each is opened when its turn comes."""
    for opened in files:
        with opened("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _mismatch(expected: str, came: str) -> DigestMismatch:
    return DigestMismatch(
        f"expected bytes with SHA-256 {expected}, got {came}", figures={"expected": expected, "got": came}
    )


def _changed(sha256: str, came: str) -> DigestMismatch:
    return DigestMismatch(
        f"the store's bytes of {artifact_name(sha256)} have changed, their SHA-256 is {came}: remove the "
        f"file artifacts/{sha256[:2]}/{sha256} from the store and upload the original again",
        figures={"expected": sha256, "got": came},
    )

import asyncio
import hashlib
from pathlib import Path

import pytest
from defuse_server.errors import BackendUnavailable, DigestMismatch, NotFound
from defuse_server.store.artifacts import ArtifactStore

DATA = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(DATA).hexdigest()


def copies(folder: Path) -> list[Path]:
    return list(folder.glob("copy*"))


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "folder":
        return ArtifactStore(str(tmp_path / "store"))
    return ArtifactStore(f"memory://{tmp_path.name}")


async def test_bytes_are_named_by_their_digest_and_stored_once(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(DATA)
    stored = await store.put_file(tmp_path / "file")
    assert (stored.sha256, stored.size_bytes) == (SHA256, len(DATA))
    assert stored.name == f"artifacts/{SHA256}"
    assert await store.put_bytes(DATA) == stored
    assert await store.stat(SHA256) == stored
    assert await store.folders(f"artifacts/{SHA256[:2]}") == [SHA256]
    assert await store.folders("temporary") == []


async def test_a_piece_is_read_from_any_offset(store: ArtifactStore) -> None:
    await store.put_bytes(DATA)
    assert await store.read(SHA256, 0, len(DATA) + 1) == DATA
    assert await store.read(SHA256, 1000, 24) == DATA[1000:1024]
    assert await store.read(SHA256, len(DATA) - 3, 24) == DATA[-3:]
    assert await store.read(SHA256, len(DATA), 24) == b""


async def test_what_is_not_there_is_not_found(store: ArtifactStore, tmp_path: Path) -> None:
    for sha256 in ("0" * 64, "../../etc/passwd", ""):
        with pytest.raises(NotFound):
            await store.stat(sha256)
        with pytest.raises(NotFound):
            await store.read(sha256, 0, 1)
        with pytest.raises(NotFound):
            await store.fetch_to(sha256, tmp_path / "copy")
    assert copies(tmp_path) == []


async def test_concurrent_puts_of_the_same_bytes_agree(store: ArtifactStore) -> None:
    stored = await asyncio.gather(*(store.put_bytes(DATA) for _ in range(8)))
    assert {artifact.sha256 for artifact in stored} == {SHA256}
    assert await store.read(SHA256, 0, len(DATA)) == DATA


async def test_bytes_that_changed_in_the_store_are_never_handed_to_a_job(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path / "store"))
    await store.put_bytes(DATA)
    await store.fetch_to(SHA256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == DATA
    (tmp_path / "copy").unlink()
    (tmp_path / "store/artifacts" / SHA256[:2] / SHA256).write_bytes(DATA[:-1] + b"!")
    with pytest.raises(DigestMismatch):
        await store.fetch_to(SHA256, tmp_path / "copy")
    assert copies(tmp_path) == []


async def test_a_store_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, where a folder is needed")
    with pytest.raises(BackendUnavailable):
        await ArtifactStore(str(tmp_path / "store")).put_bytes(DATA)


@pytest.mark.parametrize("where", ["folder", "elsewhere"])
async def test_its_size_and_whether_it_can_be_used(where, tmp_path):
    store = ArtifactStore(str(tmp_path / "new") if where == "folder" else f"memory://{tmp_path.name}")
    await store.probe()
    assert await store.size_bytes() == 0
    assert await store.free_bytes() is None
    await store.try_out()
    assert await store.size_bytes() == 0
    await store.put_bytes(b"12345")
    await store.put_bytes(b"12345")
    await store.write_part("uploads/part", b"123")
    assert await store.size_bytes() == 8
    assert ((await store.free_bytes() or 0) > 0) == (where == "folder")


async def test_a_store_that_became_a_file_can_not_be_used(tmp_path):
    (tmp_path / "store").write_text("")
    store = ArtifactStore(str(tmp_path / "store"))
    for attempt in (store.probe, store.try_out):
        with pytest.raises(BackendUnavailable, match="the artifact store can't be used: "):
            await attempt()

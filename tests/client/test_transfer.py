"""Files arrive whole, over connections that break."""

import hashlib
import random

import defuse
import grpc
import pytest
from defuse.messages import Artifact, Upload
from defuse.v1.artifact_service_pb2 import DownloadResponse

from tests.client.fake_server import UNAVAILABLE, Refusal

CONTENT = random.Random(1).randbytes(200_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ARTIFACT = Artifact(name=f"artifacts/{DIGEST}", sha256=DIGEST, size_bytes=len(CONTENT))


class Store:
    """Takes uploads; the first of them break off after `breaks_at` bytes each."""

    def __init__(self, server, breaks_at=()):
        self.data = b""
        self.headers = []
        self._breaks_at = list(breaks_at)
        server.on("ArtifactService/GetArtifact", Refusal(grpc.StatusCode.NOT_FOUND))
        server.on("ArtifactService/Upload", self.upload)
        server.on("ArtifactService/GetUpload", self.get_upload)

    def upload(self, requests):
        header = next(requests).header
        self.headers.append(header)
        if header.offset != len(self.data):
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, reason="OFFSET_MISMATCH")
        limit = self._breaks_at.pop(0) if self._breaks_at else None
        for request in requests:
            assert 0 < len(request.data) <= 1 << 20
            self.data += request.data
            if limit is not None and len(self.data) >= limit:
                raise Refusal(grpc.StatusCode.UNAVAILABLE)
        return ARTIFACT

    def get_upload(self, request):
        assert request.name == self.headers[-1].upload
        if not self.data:
            raise Refusal(grpc.StatusCode.NOT_FOUND)
        return Upload(name=request.name, committed_bytes=len(self.data))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(CONTENT)
    return path


def test_an_upload_carries_all_bytes_and_their_digest(client, server, source):
    store = Store(server)
    assert client.upload(source) == ARTIFACT
    assert store.data == CONTENT
    (header,) = store.headers
    assert (header.sha256, header.size_bytes, header.offset) == (DIGEST, len(CONTENT), 0)


def test_a_broken_upload_goes_on_from_what_is_committed(client, server, source):
    store = Store(server, breaks_at=[0, 70_000, 150_000])
    seen = []
    assert client.upload(source, on_progress=seen.append) == ARTIFACT
    assert store.data == CONTENT
    assert len({header.upload for header in store.headers}) == 1
    offsets = [header.offset for header in store.headers]
    assert offsets == sorted(offsets)
    assert offsets[-1] >= 150_000
    assert (seen[-1].done_bytes, seen[-1].total_bytes, seen[-1].path) == (200_000, 200_000, source)


def test_an_upload_asks_again_where_it_stands_when_the_server_was_still_storing(client, server, source):
    store = Store(server, breaks_at=[70_000])
    late = iter([Upload(committed_bytes=1)])
    server.on("ArtifactService/GetUpload", lambda request: next(late), store.get_upload)
    assert client.upload(source) == ARTIFACT
    assert store.data == CONTENT
    assert [header.offset for header in store.headers][1] == 1


def test_an_upload_whose_answer_got_lost_is_done(client, server, source):
    store = Store(server, breaks_at=[len(CONTENT)])
    server.on("ArtifactService/GetArtifact", Refusal(grpc.StatusCode.NOT_FOUND), ARTIFACT)
    server.on("ArtifactService/GetUpload", Upload(committed_bytes=len(CONTENT), artifact=ARTIFACT.name))
    assert client.upload(source) == ARTIFACT
    assert len(store.headers) == 1


def test_bytes_that_the_server_has_are_not_sent(client, server, source):
    server.on("ArtifactService/GetArtifact", ARTIFACT)
    assert client.upload(source) == ARTIFACT
    assert server.asked("ArtifactService/GetArtifact")[0].name == ARTIFACT.name
    assert not server.asked("ArtifactService/Upload")


def test_an_upload_that_never_gets_further_is_given_up(client, server, source):
    Store(server)
    server.on("ArtifactService/Upload", UNAVAILABLE)
    server.on("ArtifactService/GetUpload", Upload(committed_bytes=5))
    with pytest.raises(defuse.Unavailable):
        client.upload(source, timeout_s=0.5)


def test_an_empty_file_is_not_uploaded(client, tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(defuse.ArgumentError, match="empty"):
        client.upload(empty)


def chunks(begin: int, end: int) -> list[DownloadResponse]:
    step = 30_000
    return [
        DownloadResponse(data=CONTENT[at : min(at + step, end)], offset=at) for at in range(begin, end, step)
    ]


def test_a_broken_download_goes_on_and_the_file_is_right(client, server, tmp_path):
    server.on("ArtifactService/GetArtifact", ARTIFACT)
    server.on(
        "ArtifactService/Download",
        [*chunks(0, 90_000), UNAVAILABLE],
        UNAVAILABLE,
        chunks(90_000, len(CONTENT)),
    )
    out = tmp_path / "out.onnx"
    seen = []
    assert client.download(ARTIFACT, out, on_progress=seen.append) == out
    assert out.read_bytes() == CONTENT
    offsets = [request.offset for request in server.asked("ArtifactService/Download")]
    assert offsets == [0, 90_000, 90_000]
    assert seen[-1].done_bytes == len(CONTENT)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("data", [CONTENT[:-1] + b"x", CONTENT[:-1]], ids=["wrong", "short"])
def test_wrong_bytes_never_become_the_file(client, server, tmp_path, data):
    server.on("ArtifactService/GetArtifact", ARTIFACT)
    server.on("ArtifactService/Download", [DownloadResponse(data=data)])
    out = tmp_path / "out.onnx"
    out.write_bytes(b"the old one")
    with pytest.raises(defuse.DataLoss, match=DIGEST):
        client.download(ARTIFACT.name, out)
    assert out.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [out]


def test_a_classifier_is_downloaded_by_its_own_name(client, server, tmp_path):
    server.on("RegistryService/GetClassifier", defuse.messages.Classifier(artifact=ARTIFACT.name))
    server.on("ArtifactService/GetArtifact", ARTIFACT)
    server.on("ArtifactService/Download", chunks(0, len(CONTENT)))
    client.download("classifiers/c", tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == CONTENT


def test_a_vae_has_two_files_and_none_is_guessed(client, tmp_path):
    with pytest.raises(defuse.ArgumentError, match="vaes/v"):
        client.download("vaes/v", tmp_path / "out.onnx")


def test_a_missing_folder_is_named_and_no_temporary_file(client, server, tmp_path):
    server.on("ArtifactService/GetArtifact", ARTIFACT)
    with pytest.raises(FileNotFoundError, match="there is no such folder") as caught:
        client.download(ARTIFACT, tmp_path / "missing" / "model.onnx")
    assert caught.value.filename == str(tmp_path / "missing")

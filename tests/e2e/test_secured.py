"""A service with TLS and a token, and clients that have both, or lack one."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import defuse
import httpx
import pytest

from examples.local_server import local_server

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
TOKEN = "a-token-for-this-test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed for 127.0.0.1; its key lies beside it."""
    folder = tmp_path_factory.mktemp("tls")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=defuse", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*make.split(), *names, *files], check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.fixture(scope="module")
def secured_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secured")


@pytest.fixture(scope="module")
def secured_address(certificate: Path, secured_folder: Path) -> Iterator[str]:
    files = {"tls_cert": str(certificate), "tls_key": str(certificate.with_name("key.pem"))}
    with local_server(secured_folder, token=TOKEN, **files) as address:
        yield address


def test_a_client_with_ca_and_token_is_served(
    secured_address: str, certificate: Path, models_folder: Path
) -> None:
    with defuse.Client(secured_address, TOKEN, tls_ca=certificate) as client:
        classifier = client.push_classifier(models_folder / "classifier.onnx")
    assert classifier.class_count == 2


@pytest.mark.parametrize("token", ["wrong", None])
def test_a_client_without_the_token_is_turned_away(
    secured_address: str, certificate: Path, token: str | None
) -> None:
    with (
        defuse.Client(secured_address, token, tls_ca=certificate) as client,
        pytest.raises(defuse.Unauthenticated),
    ):
        list(client.list_audits())


def test_a_client_without_tls_finds_no_server(secured_address: str) -> None:
    with (
        defuse.Client(secured_address, TOKEN, timeout_s=2) as client,
        pytest.raises(defuse.Unavailable),
    ):
        list(client.list_audits())


def test_the_pages_ask_for_the_token_over_tls(
    secured_address: str, secured_folder: Path, certificate: Path
) -> None:
    log = (secured_folder / "server.log").read_text()
    (page,) = re.findall(r"^web: (https://\S+)$", log, re.MULTILINE)
    with httpx.Client(base_url=page, verify=ssl.create_default_context(cafile=str(certificate))) as browser:
        asked = browser.get("/audits", follow_redirects=True)
        assert asked.url.path == "/sign-in"
        assert "Secure" in asked.headers["set-cookie"]
        (csrf,) = re.findall(r'name="csrf" value="([^"]+)"', asked.text)
        fields = {"csrf": csrf, "annotator": "ann", "next": "/audits"}
        for token, status, path in (("wrong", 401, "/sign-in"), (TOKEN, 200, "/audits")):
            answer = browser.post(
                "/sign-in", data={**fields, "token": token}, headers={"origin": page}, follow_redirects=True
            )
            assert (answer.status_code, answer.url.path) == (status, path)

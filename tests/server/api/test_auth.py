"""Who may call, and where the server dares to listen."""

import subprocess
from pathlib import Path

import grpc
import pytest
from defuse.v1.artifact_service_pb2 import UploadRequest
from defuse.v1.audit_service_pb2 import ListAuditsRequest, WatchAuditRequest
from defuse_server.api.server import ApiServer
from defuse_server.backend import open_backend
from defuse_server.host.listen import UnsafeListen, check, is_loopback
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pydantic import SecretStr

TOKEN = "correct-horse"
BEARER = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture
async def guarded(settings, connect):
    """Stubs of a server that wants a token."""
    own = settings.model_copy(update={"token": SecretStr(TOKEN)})
    async with open_backend(own) as backend, ApiServer(backend, grace_s=0.5) as server:
        yield await connect(server)


async def test_the_token_admits(guarded):
    answer = await guarded.audits.ListAudits(ListAuditsRequest(), metadata=BEARER)
    assert not answer.audits


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", TOKEN),),
        (("authorization", "Bearer wrong"),),
        (("authorization", f"Basic {TOKEN}"),),
        (("authorization", "Bearer "),),
        (*BEARER, ("authorization", "Bearer wrong")),
    ],
)
async def test_other_credentials_do_not(guarded, refused, metadata):
    with refused() as problem:
        await guarded.audits.ListAudits(ListAuditsRequest(), metadata=metadata)
    assert (problem.code, problem.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")


async def test_calls_of_every_kind_need_it(guarded, refused):
    with refused() as problem:
        await guarded.artifacts.Upload(iter([UploadRequest(data=b"x")]))
    assert problem.reason == "UNAUTHENTICATED"
    with refused() as problem:
        await guarded.audits.WatchAudit(WatchAuditRequest(name="audits/x")).read()
    assert problem.reason == "UNAUTHENTICATED"


async def test_reflection_needs_it_and_health_does_not(guarded, refused):
    reflection = reflection_pb2_grpc.ServerReflectionStub(guarded.channel)
    asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
    with refused() as problem:
        await reflection.ServerReflectionInfo(iter(asked)).read()
    assert problem.reason == "UNAUTHENTICATED"
    call = reflection.ServerReflectionInfo(iter(asked), metadata=BEARER)
    assert (await call.read()).list_services_response.service
    health = health_pb2_grpc.HealthStub(guarded.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    """A self-signed certificate of localhost, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", key, "-out", cert]
    subprocess.run([*command.split(), *subject, *files], check=True, capture_output=True)
    return cert, key


async def test_tls_with_the_servers_certificate(settings, connect, certificate):
    cert, key = certificate
    own = settings.model_copy(update={"tls_cert": cert, "tls_key": key, "token": SecretStr(TOKEN)})
    async with open_backend(own) as backend, ApiServer(backend, grace_s=0.5) as server:
        trusting = await connect(server, grpc.ssl_channel_credentials(cert.read_bytes()))
        assert not (await trusting.audits.ListAudits(ListAuditsRequest(), metadata=BEARER)).audits
        plain = await connect(server)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await plain.audits.ListAudits(ListAuditsRequest(), metadata=BEARER, timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1:50151", True),
        ("127.8.8.8:1", True),
        ("localhost:0", True),
        ("[::1]:50151", True),
        ("unix:/tmp/socket", True),
        ("0.0.0.0:50151", False),
        ("[::]:50151", False),
        ("10.0.0.1:50151", False),
        ("localhost.example.org:50151", False),
    ],
)
def test_what_counts_as_loopback(address, loopback):
    assert is_loopback(address) is loopback


def test_beyond_loopback_both_tls_and_token_are_needed(settings, tmp_path):
    tls = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    token = {"token": SecretStr(TOKEN)}
    beyond = {"address": "0.0.0.0:0"}
    check(settings.model_copy(update={**beyond, **tls, **token}))
    for missing, rest in (("--tls-cert", token), ("DEFUSE_TOKEN", tls)):
        with pytest.raises(UnsafeListen, match=missing):
            check(settings.model_copy(update={**beyond, **rest}))


def test_half_a_tls_setting_is_refused(settings, tmp_path):
    with pytest.raises(UnsafeListen, match="both --tls-cert and --tls-key"):
        check(settings.model_copy(update={"tls_cert": tmp_path / "cert.pem"}))

"""Callers known by certificates that a CA of the operator signed."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import defuse
import grpc
import pytest
from defuse.v1.artifact_service_pb2 import UploadRequest
from defuse.v1.audit_service_pb2 import CancelAuditRequest, ListAuditsRequest, WatchAuditRequest
from defuse.v1.label_service_pb2 import LeaseLabelTasksRequest
from defuse_server.access.roles import Role
from defuse_server.api.server import ApiServer
from defuse_server.backend import open_backend
from defuse_server.host.listen import UnsafeListen, check
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make certificates")
NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
SPIFFE = "spiffe://acme/ci"


def openssl(folder: Path, command: str) -> None:
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Path:
    """A server's certificate, a CA, and certificates that this CA, or another, signed."""
    folder = tmp_path_factory.mktemp("pki")
    for name in ("server", "ca", "other-ca"):
        alternative = "-addext subjectAltName=DNS:localhost" if name == "server" else ""
        names = f"-subj /CN={name} {alternative}"
        openssl(folder, f"req -x509 {NEW_KEY} -days 2 {names} -keyout {name}.key -out {name}.pem")
    for name, ca, alternative in (
        ("ann", "ca", ""),
        ("ci", "ca", f"URI:{SPIFFE}"),
        ("nobody", "ca", ""),
        ("forged", "other-ca", f"URI:{SPIFFE}"),
    ):
        openssl(folder, f"req -new {NEW_KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr")
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}" if alternative else "")
        files = f"-CA {ca}.pem -CAkey {ca}.key -CAcreateserial -extfile {name}.ext"
        openssl(folder, f"x509 -req -in {name}.csr {files} -days 2 -out {name}.pem")
    return folder


@pytest.fixture
async def server(settings, pki):
    own = settings.model_copy(
        update={
            "tls_cert": pki / "server.pem",
            "tls_key": pki / "server.key",
            "tls_client_ca": pki / "ca.pem",
            "tls_client_roles": f"{SPIFFE}=auditor,ann=annotator",
        }
    )
    async with open_backend(own) as backend, ApiServer(backend, grace_s=0.5) as server:
        yield server


@pytest.fixture
def stubs_of(server, connect, pki):
    async def stubs(name: str = ""):
        pair = [(pki / f"{name}.{end}").read_bytes() for end in ("key", "pem")] if name else [None, None]
        return await connect(server, grpc.ssl_channel_credentials((pki / "server.pem").read_bytes(), *pair))

    return stubs


async def test_the_names_in_a_certificate_give_the_roles(stubs_of, records, refused):
    audit = await records.audit(regions=1)
    ci, ann, nobody = [await stubs_of(name) for name in ("ci", "ann", "nobody")]
    assert await ci.audits.ListAudits(ListAuditsRequest())
    leased = await ann.labels.LeaseLabelTasks(LeaseLabelTasksRequest(audit=audit.name))
    assert len(leased.tasks) == 1
    with refused() as problem:
        await ann.labels.LeaseLabelTasks(LeaseLabelTasksRequest(audit=audit.name, annotator="ben"))
    assert problem.figures == {"subject": "ann"}
    with refused() as problem:
        await ann.audits.CancelAudit(CancelAuditRequest(name=audit.name))
    assert (problem.code, problem.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    with refused() as problem:
        await nobody.audits.ListAudits(ListAuditsRequest())
    assert "nobody has no role" in problem.message


async def test_calls_of_every_kind_are_admitted_and_refused(stubs_of, records, refused):
    audit = await records.queued_audit()
    ci, nobody = await stubs_of("ci"), await stubs_of("nobody")
    assert (await ci.audits.WatchAudit(WatchAuditRequest(name=audit.name)).read()).audit.name == audit.name
    with refused() as problem:
        await ci.artifacts.Upload(iter([UploadRequest(data=b"x")]))
    assert problem.code is grpc.StatusCode.INVALID_ARGUMENT
    reflection = reflection_pb2_grpc.ServerReflectionStub(ci.channel)
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    assert (await reflection.ServerReflectionInfo(asked).read()).list_services_response.service
    with refused() as problem:
        await nobody.artifacts.Upload(iter([UploadRequest(data=b"x")]))
    assert problem.code is grpc.StatusCode.PERMISSION_DENIED
    with refused() as problem:
        await nobody.audits.WatchAudit(WatchAuditRequest(name=audit.name)).read()
    assert problem.code is grpc.StatusCode.PERMISSION_DENIED
    health = await health_pb2_grpc.HealthStub(nobody.channel).Check(health_pb2.HealthCheckRequest())
    assert health.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("name", ["", "forged"])
async def test_without_a_certificate_of_the_ca_there_is_no_connection(stubs_of, name):
    stubs = await stubs_of(name)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stubs.audits.ListAudits(ListAuditsRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_token_goes_before_the_certificate(stubs_of, backend, refused):
    nobody = await stubs_of("nobody")
    token = await backend.access.tokens.create("ben", [Role.VIEWER])
    await nobody.audits.ListAudits(ListAuditsRequest(), metadata=(("authorization", f"Bearer {token}"),))
    with refused() as problem:
        await (await stubs_of("ci")).audits.ListAudits(
            ListAuditsRequest(), metadata=(("authorization", "Bearer wrong"),)
        )
    assert problem.figures == {"cause": "unknown"}


async def test_the_client_shows_the_certificate_of_its_environment(server, pki, monkeypatch):
    monkeypatch.setenv("DEFUSE_TLS_CLIENT_CERT", str(pki / "ci.pem"))
    with pytest.raises(defuse.ArgumentError, match="expected both"):
        defuse.Client(f"localhost:{server.port}", tls_ca=pki / "server.pem")
    monkeypatch.setenv("DEFUSE_TLS_CLIENT_KEY", str(pki / "ci.key"))
    with pytest.raises(defuse.ArgumentError, match="and TLS"):
        defuse.Client(f"localhost:{server.port}")

    def listed() -> list[object]:
        with defuse.Client(f"localhost:{server.port}", tls_ca=pki / "server.pem") as client:
            return list(client.list_audits())

    assert await asyncio.to_thread(listed) == []


def test_certificates_need_tls(settings, pki):
    with pytest.raises(UnsafeListen, match="DEFUSE_TLS_CLIENT_CA"):
        check(settings.model_copy(update={"tls_client_ca": pki / "ca.pem"}))

"""Health, reflection, and how the server treats calls of any kind."""

import asyncio
import contextlib

import grpc
from defuse.v1.audit_service_pb2 import GetAuditRequest, WatchAuditRequest
from defuse_server.api.server import ApiServer
from defuse_server.backend import open_backend
from defuse_server.host.valkey import EmbeddedValkey
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

SERVICES = [
    f"defuse.v1.{name}Service"
    for name in ("Artifact", "Registry", "Audit", "Label", "Correction", "Promotion", "Status")
]


async def test_health_is_told_for_each_service(stubs):
    health = health_pb2_grpc.HealthStub(stubs.channel)
    for service in ["", *SERVICES]:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_the_services(stubs):
    reflection = reflection_pb2_grpc.ServerReflectionStub(stubs.channel)
    call = reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    answers = [answer async for answer in call]
    listed = {service.name for service in answers[0].list_services_response.service}
    assert set(SERVICES) <= listed


async def test_bytes_that_are_no_message_are_the_callers_error(stubs, refused):
    call = stubs.channel.unary_unary("/defuse.v1.AuditService/GetAudit")
    with refused() as problem:
        await call(b"\xff\xff\xff")
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


async def test_an_unknown_error_tells_an_incident_and_no_detail(backend, stubs, refused, records, caplog):
    audit = await records.queued_audit()
    # Something that no code of the service writes.
    await backend.redis.hset(f"defuse:resource:{audit.name}", "revision", "secret of the record")
    with refused() as problem:
        await stubs.audits.GetAudit(GetAuditRequest(name=audit.name))
    assert (problem.code, problem.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in problem.message
    assert problem.figures["incident"] in problem.message


async def test_without_its_redis_a_server_is_unavailable_and_its_health_says_so(
    settings, refused, connect, tmp_path
):
    valkey = EmbeddedValkey(tmp_path / "own")
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(valkey)
        own = settings.model_copy(update={"redis_url": url})
        backend = await stack.enter_async_context(open_backend(own))
        stubs = await connect(await stack.enter_async_context(ApiServer(backend, grace_s=0.1)))
        await valkey.stop()
        with refused() as problem:
            await stubs.audits.GetAudit(GetAuditRequest(name="audits/" + "0" * 18))
        assert (problem.code, problem.reason) == (grpc.StatusCode.UNAVAILABLE, "BACKEND_UNAVAILABLE")
        assert "RetryInfo" in problem.details
        health = health_pb2_grpc.HealthStub(stubs.channel).Watch(health_pb2.HealthCheckRequest())
        statuses = [(await health.read()).status for _ in range(2)]
        assert statuses[-1] == health_pb2.HealthCheckResponse.NOT_SERVING
        health.cancel()


async def test_a_stopping_server_drains(backend, records, refused, connect):
    audit = await records.queued_audit()
    server = ApiServer(backend, grace_s=5.0)
    await server.__aenter__()
    stubs = await connect(server)
    watched = stubs.audits.WatchAudit(WatchAuditRequest(name=audit.name))
    assert (await watched.read()).audit.name == audit.name
    health = health_pb2_grpc.HealthStub(stubs.channel).Watch(health_pb2.HealthCheckRequest())
    assert (await health.read()).status == health_pb2.HealthCheckResponse.SERVING

    stopping = asyncio.create_task(server.__aexit__(None, None, None))
    assert (await health.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    with refused() as problem:
        await watched.read()
    assert (problem.code, problem.reason) == (grpc.StatusCode.UNAVAILABLE, "BACKEND_UNAVAILABLE")
    health.cancel()
    await asyncio.wait_for(stopping, 5.0)

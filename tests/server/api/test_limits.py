"""What one caller may use, counted by all processes together."""

import asyncio
import contextlib
import hashlib
import uuid

import grpc
import pytest
from defuse.v1 import artifact_service_pb2 as artifacts
from defuse.v1.audit_service_pb2 import CreateAuditRequest, ListAuditsRequest, WatchAuditRequest
from defuse_server.access import limits
from defuse_server.access.roles import Role
from defuse_server.api.server import ApiServer
from defuse_server.backend import open_backend
from defuse_server.worker.fence import Fence
from google.rpc import error_details_pb2, status_pb2

from tests.server.api.conftest import new_id


@pytest.fixture
async def two_servers(settings, backend, connect):
    """A function that starts two servers with limits. It returns their stubs, and what two callers send."""
    async with contextlib.AsyncExitStack() as stack:

        async def started(**limit):
            own = settings.model_copy(update=limit)
            stubs = []
            for _ in range(2):
                other = await stack.enter_async_context(open_backend(own))
                server = await stack.enter_async_context(ApiServer(other, grace_s=0.5))
                stubs.append(await connect(server))
            tokens = [await backend.access.tokens.create(name, [Role.AUDITOR]) for name in ("ann", "ben")]
            return (*stubs, *((("authorization", f"Bearer {token}"),) for token in tokens))

        yield started


async def exhausted(call) -> tuple[float, str]:
    """The seconds to wait and the setting that a refused call names."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    data = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status_pb2.Status.FromString(data).details:
        for known in (info, retry):
            detail.Unpack(known)
    assert info.reason == "QUOTA_EXCEEDED"
    return retry.retry_delay.ToTimedelta().total_seconds(), info.metadata["limit"]


async def test_requests_are_counted_over_processes(two_servers):
    first, second, ann, ben = await two_servers(caller_requests_per_s=0.001)
    request = ListAuditsRequest()
    await first.audits.ListAudits(request, metadata=ann)
    wait_s, limit = await exhausted(second.audits.ListAudits(request, metadata=ann))
    assert limit == "DEFUSE_CALLER_REQUESTS_PER_S"
    assert 900 < wait_s <= 1000
    await second.audits.ListAudits(request, metadata=ben)


async def test_a_caller_who_waits_as_told_is_served(two_servers):
    first, _, ann, _ = await two_servers(caller_requests_per_s=0.5)
    await first.audits.ListAudits(ListAuditsRequest(), metadata=ann)
    wait_s, _ = await exhausted(first.audits.ListAudits(ListAuditsRequest(), metadata=ann))
    assert 0 < wait_s <= 2
    await asyncio.sleep(wait_s + 0.01)
    await first.audits.ListAudits(ListAuditsRequest(), metadata=ann)


async def test_open_streams_are_counted_over_processes_until_they_end(two_servers, records, monkeypatch):
    monkeypatch.setattr(limits, "_STREAM_RENEWAL_S", 0.05)
    monkeypatch.setattr(limits, "_STREAM_MS", 400)
    audit = await records.queued_audit()
    request = WatchAuditRequest(name=audit.name)
    first, second, ann, ben = await two_servers(caller_streams=1)
    held = first.audits.WatchAudit(request, metadata=ann)
    await held.read()
    await asyncio.sleep(0.6)  # longer than an entry lasts that nobody renews
    wait_s, limit = await exhausted(second.audits.WatchAudit(request, metadata=ann).read())
    assert (wait_s, limit) == (5, "DEFUSE_CALLER_STREAMS")
    await second.audits.WatchAudit(request, metadata=ben).read()
    held.cancel()
    async with asyncio.timeout(10):
        while True:
            again = second.audits.WatchAudit(request, metadata=ann)
            try:
                await again.read()
                break
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.02)


async def test_audits_that_have_not_ended_are_counted(two_servers, records, backend):
    first, second, ann, ben = await two_servers(caller_audits=1)
    names = {"classifier": await records.classifier(), "vae": await records.vae()}
    names["dataset"] = await records.dataset()
    inputs = {kind: one.name for kind, one in names.items()}
    asked = CreateAuditRequest(request_id=new_id(), **inputs)
    made = await first.audits.CreateAudit(asked, metadata=ann)
    # The same request again is no further audit.
    assert await second.audits.CreateAudit(asked, metadata=ann) == made
    other = CreateAuditRequest(request_id=new_id(), **inputs)
    wait_s, limit = await exhausted(second.audits.CreateAudit(other, metadata=ann))
    assert (wait_s, limit) == (60, "DEFUSE_CALLER_AUDITS")
    await second.audits.CreateAudit(CreateAuditRequest(request_id=new_id(), **inputs), metadata=ben)
    claim = await Fence(backend.redis, "test", 2.0).claim(made.name)
    assert claim.attempt is not None
    await claim.attempt.succeed(made)
    await first.audits.CreateAudit(other, metadata=ann)


async def test_a_refused_request_takes_no_place(two_servers, records):
    first, _, ann, _ = await two_servers(caller_audits=1)
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await first.audits.CreateAudit(CreateAuditRequest(request_id=new_id()), metadata=ann)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_bytes_of_a_day_are_counted_as_they_come(two_servers):
    first, second, ann, ben = await two_servers(caller_upload_bytes_per_day=1000)

    def upload(stubs, metadata, size: int, sent: int):
        data = uuid.uuid4().bytes * (size // 16 + 1)
        header = artifacts.UploadHeader(
            upload=f"uploads/{uuid.uuid4()}",
            sha256=hashlib.sha256(data[:size]).hexdigest(),
            size_bytes=size,
        )
        requests = [
            artifacts.UploadRequest(header=header),
            artifacts.UploadRequest(data=data[:sent]),
        ]
        return stubs.artifacts.Upload(iter(requests), metadata=metadata)

    await upload(first, ann, 600, 600)
    wait_s, limit = await exhausted(upload(second, ann, 401, 401))
    assert limit == "DEFUSE_CALLER_UPLOAD_BYTES_PER_DAY"
    assert 0 < wait_s <= 24 * 3600
    # Of an upload that breaks, only what came counts.
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await upload(second, ann, 400, 100)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await upload(first, ann, 300, 300)
    await exhausted(upload(first, ann, 1, 1))
    await upload(second, ben, 1000, 1000)


async def test_without_limits_redis_counts_nothing(stubs, records, redis):
    audit = await records.queued_audit()
    await stubs.audits.WatchAudit(WatchAuditRequest(name=audit.name)).read()
    assert not await redis.keys("defuse:caller-*")

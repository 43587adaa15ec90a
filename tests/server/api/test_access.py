"""Every RPC, called by every role and with every kind of token, over a real connection."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import defuse.v1
import grpc
import pytest
from defuse.v1.artifact_service_pb2 import UploadHeader, UploadRequest
from defuse.v1.audit_service_pb2 import CancelAuditRequest, GetBugRequest, ListAuditsRequest
from defuse.v1.label_service_pb2 import LeaseLabelTasksRequest, SubmitLabelRequest, UndoLabelRequest
from defuse_server.access.roles import CHANGES, READS, ROLES, Role
from defuse_server.api.server import ApiServer
from defuse_server.backend import open_backend
from google.protobuf import descriptor_pool

from tests.server.api.conftest import new_id

SERVICES = ("Artifact", "Audit", "Correction", "Label", "Promotion", "Registry", "Status")
RPCS = {
    f"{service.name}/{method.name}": method
    for name in SERVICES
    for service in [descriptor_pool.Default().FindServiceByName(f"defuse.v1.{name}Service")]
    for method in service.methods
}


def bearer(token: str):
    return (("authorization", f"Bearer {token}"),)


def test_the_table_has_every_rpc_of_the_contract_and_no_other():
    protos = Path(defuse.v1.__file__).parents[3] / "proto/defuse/v1"
    assert len(list(protos.glob("*_service.proto"))) == len(SERVICES)
    assert set(ROLES) == set(RPCS)
    assert not set(READS) & set(CHANGES)
    for rpc in ROLES:
        begins = rpc.partition("/")[2].startswith(("Get", "List", "Watch", "Stream", "Download", "Export"))
        assert begins == (rpc in READS), rpc


# What each role may do beside reading, written once more by hand.
LABELS = {"LeaseLabelTasks", "ExtendLease", "SubmitLabel", "UndoLabel", "ReleaseLabelTask", "SkipLabelTask"}
CANDIDATES = {"Upload", "RegisterClassifier", "CreateEvaluation", "CancelEvaluation"}
AUDITS = {
    *CANDIDATES,
    *("RegisterVae", "RegisterDataset", "TrainVae", "CancelVaeTraining", "CreateAudit", "CancelAudit"),
    *("CreateCorrection", "CancelCorrection", "ImportLabels"),
}
CHANGES_OF = {
    Role.VIEWER: set(),
    Role.ANNOTATOR: LABELS,
    Role.AUDITOR: AUDITS,
    Role.PROMOTER: CANDIDATES,
    Role.ADMIN: {rpc.partition("/")[2] for rpc in CHANGES},
}
HIDDEN_FROM_ANNOTATORS = {
    *("GetRegion", "ListRegions", "StreamRegions", "GetBug", "ListBugs", "StreamBugs"),
    *("StreamMisclassifications", "GetLabelingReport"),
}


@dataclass
class Server:
    channel: grpc.aio.Channel
    tokens: dict[str, str]

    async def code(self, rpc: str, metadata, payload: bytes = b"") -> grpc.StatusCode:
        """The code of a call with an empty request; OK and errors about the request alike are admitted."""
        method = RPCS[rpc]
        path, answer = f"/defuse.v1.{rpc}", None
        try:
            if method.client_streaming:
                await self.channel.stream_unary(path)(iter([payload]), metadata=metadata)
            elif method.server_streaming:
                answer = self.channel.unary_stream(path)(payload, metadata=metadata)
                await answer.read()
                answer.cancel()
            else:
                await self.channel.unary_unary(path)(payload, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


@pytest.fixture
async def guarded(settings, connect):
    """A server with a token for each role, one that is expired, and one that is revoked."""
    async with open_backend(settings) as backend:
        tokens = {role.value: await backend.access.tokens.create(role, [role]) for role in Role}
        tokens["expired"] = await backend.access.tokens.create("late", [Role.ADMIN], 0.001)
        tokens["revoked"] = await backend.access.tokens.create("gone", [Role.ADMIN])
        await backend.access.tokens.revoke("gone")
        async with ApiServer(backend, grace_s=0.5) as server:
            stubs = await connect(server)
            yield Server(stubs.channel, tokens)


async def test_every_rpc_with_every_role_and_every_kind_of_token(guarded):
    unknown = {
        "none": (),
        "unknown": bearer("defuse_" + "x" * 43),
        "expired": bearer(guarded.tokens["expired"]),
        "revoked": bearer(guarded.tokens["revoked"]),
    }
    refusals = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    for rpc in RPCS:
        name = rpc.partition("/")[2]
        for kind, metadata in unknown.items():
            assert await guarded.code(rpc, metadata) is grpc.StatusCode.UNAUTHENTICATED, (rpc, kind)
        for role in Role:
            reads = rpc in READS and not (role is Role.ANNOTATOR and name in HIDDEN_FROM_ANNOTATORS)
            code = await guarded.code(rpc, bearer(guarded.tokens[role]))
            if reads or name in CHANGES_OF[role]:
                assert code not in refusals, (rpc, role, code)
                # The request was empty: whatever the answer is, it is the request's.
                assert code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT), (rpc, role, code)
            else:
                assert code is grpc.StatusCode.PERMISSION_DENIED, (rpc, role)


async def test_a_refusal_says_what_was_needed_and_what_came(api, backend, stubs, refused):
    token = await backend.access.tokens.create("ann", [Role.ANNOTATOR, Role.VIEWER])
    with refused() as problem:
        await stubs.audits.CancelAudit(CancelAuditRequest(name="audits/x"), metadata=bearer(token))
    assert (problem.code, problem.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert problem.message == (
        "AuditService/CancelAudit needs the role auditor or admin; ann has viewer, annotator"
    )
    rpc = "AuditService/CancelAudit"
    assert problem.figures == {"rpc": rpc, "roles_needed": "auditor, admin", "roles": "viewer, annotator"}
    with refused() as problem:
        await stubs.audits.ListAudits(ListAuditsRequest())
    assert (problem.reason, problem.figures) == ("UNAUTHENTICATED", {"cause": "missing"})


async def test_several_roles_add_up(api, backend, stubs, records, refused):
    audit = await records.audit(regions=1)
    token = await backend.access.tokens.create("ann", [Role.ANNOTATOR, Role.VIEWER])
    leased = await stubs.labels.LeaseLabelTasks(
        LeaseLabelTasksRequest(audit=audit.name), metadata=bearer(token)
    )
    assert len(leased.tasks) == 1
    with refused() as problem:
        await stubs.audits.GetBug(GetBugRequest(name=f"{audit.name}/bugs/0"), metadata=bearer(token))
    assert problem.code is grpc.StatusCode.NOT_FOUND


async def test_the_first_token_closes_a_running_server_and_a_revoked_one_is_refused_at_once(
    api, backend, stubs, refused
):
    await stubs.audits.ListAudits(ListAuditsRequest())
    token = await backend.access.tokens.create("ann", [Role.VIEWER])
    with refused() as problem:
        await stubs.audits.ListAudits(ListAuditsRequest())
    assert problem.figures == {"cause": "missing"}
    await stubs.audits.ListAudits(ListAuditsRequest(), metadata=bearer(token))
    await backend.access.tokens.revoke("ann")
    with refused() as problem:
        await stubs.audits.ListAudits(ListAuditsRequest(), metadata=bearer(token))
    assert problem.figures == {"cause": "revoked"}


async def test_an_annotator_is_who_the_token_says(api, backend, stubs, records, refused):
    audit = await records.audit(regions=2)
    metadata = bearer(await backend.access.tokens.create("ann", [Role.ANNOTATOR]))
    with refused() as problem:
        await stubs.labels.LeaseLabelTasks(
            LeaseLabelTasksRequest(audit=audit.name, annotator="ben"), metadata=metadata
        )
    assert (problem.code, problem.figures) == (grpc.StatusCode.PERMISSION_DENIED, {"subject": "ann"})
    for named in ("", "ann"):
        request = LeaseLabelTasksRequest(audit=audit.name, annotator=named)
        (task,) = (await stubs.labels.LeaseLabelTasks(request, metadata=metadata)).tasks
        answer = SubmitLabelRequest(region=task.region, lease_token=task.lease_token)
        answer.answer.label = 0
        await stubs.labels.SubmitLabel(answer, metadata=metadata)
    report = await backend.labeling.report(audit.name)
    assert [(one.annotator, one.answer_count) for one in report.annotators] == [("ann", 2)]
    other = bearer(await backend.access.tokens.create("ben", [Role.ANNOTATOR]))
    for named, code in (("ann", grpc.StatusCode.PERMISSION_DENIED), ("", grpc.StatusCode.NOT_FOUND)):
        with refused() as problem:
            await stubs.labels.UndoLabel(
                UndoLabelRequest(region=task.region, annotator=named), metadata=other
            )
        assert problem.code is code
    await stubs.labels.UndoLabel(UndoLabelRequest(region=task.region), metadata=metadata)


async def test_without_a_token_of_ones_own_a_name_is_needed(stubs, records, refused):
    audit = await records.audit(regions=1)
    with refused() as problem:
        await stubs.labels.LeaseLabelTasks(LeaseLabelTasksRequest(audit=audit.name))
    assert (problem.reason, problem.fields) == ("INVALID_FIELD", ("annotator",))


SERVE = """
import asyncio, sys
from defuse_server.api.server import ApiServer
from defuse_server.backend import open_backend
from defuse_server.host import log
from defuse_server.host.settings import Settings

async def main():
    log.configure("error")
    async with open_backend(Settings()) as backend, ApiServer(backend, grace_s=0.1) as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


async def test_each_change_leaves_one_line_that_tells_who_did_what(settings, backend, records):
    audit = await records.audit(regions=1)
    annotator = await backend.access.tokens.create("ann", [Role.ANNOTATOR])
    auditor = await backend.access.tokens.create("eve", [Role.AUDITOR])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DEFUSE_")}
    environment |= {
        "DEFUSE_ADDRESS": settings.address,
        "DEFUSE_REDIS_URL": str(settings.redis_url),
        "DEFUSE_STORE_URL": settings.store_url,
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVE, env=environment, **pipes)
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        server = Server(channel, {})
        lease = LeaseLabelTasksRequest(audit=audit.name).SerializeToString()
        header = UploadHeader(upload=f"uploads/{new_id()}", sha256="0" * 64, size_bytes=1)
        upload = UploadRequest(header=header).SerializeToString()
        for rpc, metadata, payload in (
            ("AuditService/ListAudits", bearer(auditor), b""),
            ("LabelService/LeaseLabelTasks", bearer(annotator), lease),
            ("LabelService/LeaseLabelTasks", bearer(auditor), lease),
            ("ArtifactService/Upload", bearer(auditor), upload),
            ("AuditService/DeleteAudit", (), b""),
        ):
            await server.code(rpc, metadata, payload)
    errors = (await process.communicate(b""))[1].decode()
    lines = [json.loads(line) for line in errors.splitlines()]
    told = [line for line in lines if line["logger"] == "defuse_server.access"]
    assert [
        (line["rpc"].partition("/")[2], line["subject"], line["roles"], line["code"], line["resource"])
        for line in told
    ] == [
        ("LeaseLabelTasks", "ann", ["annotator"], "OK", audit.name),
        ("LeaseLabelTasks", "eve", ["auditor"], "PERMISSION_DENIED", ""),
        ("Upload", "eve", ["auditor"], "INVALID_ARGUMENT", header.upload),
        ("DeleteAudit", "", [], "UNAUTHENTICATED", ""),
    ]
    assert all(line["peer"].startswith(("ipv4:127.0.0.1:", "ipv6:")) for line in told)
    assert annotator not in errors
    assert auditor not in errors

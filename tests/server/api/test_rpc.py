"""Every RPC of the contract is there."""

import asyncio

import pytest
from defuse.v1 import audit_service_pb2
from defuse_server.api.rpc import service_handler
from defuse_server.api.server import ApiServer


async def test_every_rpc_is_implemented(backend):
    """The server can't be made otherwise: each method of the contract is looked up on its service."""
    ApiServer(backend)
    service = audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"]
    with pytest.raises(AttributeError, match="create_audit"):
        service_handler(service, object(), asyncio.Event())

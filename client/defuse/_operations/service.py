"""The service itself."""

from defuse._calls.flows import unary
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow
from defuse.v1 import status_service_pb2 as pb


def service_status(*, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[pb.ServiceStatus]:
    """Return the state of the service at a glance: workers, queue, running jobs, labeling, last verdicts.

    Raises `Unimplemented` if the server is older than this call.
    """
    return unary(pb.GetServiceStatusRequest(), pb.ServiceStatus, timeout_s)

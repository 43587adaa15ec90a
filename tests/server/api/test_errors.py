"""The one table, and what travels with an error."""

import re
from pathlib import Path

import defuse.v1
import defuse_server.errors
import grpc
import pytest
from defuse.v1.error_reason_pb2 import ErrorReason
from defuse_server.api.errors import TRAILER_BYTES, rpc_status, trailers
from defuse_server.error_codes import CODES, known
from defuse_server.errors import DefuseError, InvalidRequest, Mismatched, WrongState
from google.rpc import error_details_pb2


def every_error(kind: type[DefuseError] = DefuseError) -> set[type[DefuseError]]:
    found = {kind}
    for child in kind.__subclasses__():
        found |= every_error(child)
    own = {error for error in found if error.__module__ == defuse_server.errors.__name__}
    return own - {DefuseError}


@pytest.mark.parametrize("kind", sorted(every_error(), key=lambda kind: kind.__name__))
def test_every_error_has_a_code(kind):
    assert kind.reason in CODES


def test_the_codes_are_those_that_the_contract_states():
    """The comment above each reason names its code in brackets, or none for INVALID_ARGUMENT."""
    proto = Path(defuse.v1.__file__).parents[3] / "proto/defuse/v1/error_reason.proto"
    if not proto.exists():
        pytest.skip("the installed package is not beside its proto files")
    comment, stated = "", {}
    for line in proto.read_text().splitlines():
        text = line.strip()
        comment = f"{comment} {text}" if text.startswith("//") else comment
        if match := re.match(r"(ERROR_REASON_\w+) = \d+;", text):
            codes = re.findall(r"\(([A-Z_]+)(?: at \w+)?\)", comment)
            stated[match[1]] = codes[0] if codes else "INVALID_ARGUMENT"
        if not text.startswith("//"):
            comment = ""
    for reason, code in CODES.items():
        name = ErrorReason.Name(reason)
        if name == "ERROR_REASON_MODEL_NOT_DIFFERENTIABLE":
            continue  # said at CreateCorrection, among its errors
        assert code.name == stated[name], name


def wire_bytes(status) -> int:
    data = trailers(status)[0][1]
    message = "".join(chr(b) if 32 <= b <= 126 and b != 37 else f"%{b:02X}" for b in status.message.encode())
    return len("grpc-status-details-bin") + (len(data) + 2) // 3 * 4 + len("grpc-message") + len(message) + 64


@pytest.mark.parametrize("text", ["x", "%", "\u00e4", "\U0001f4a5"])
def test_the_trailers_stay_small(text):
    fields = [(f"config.{text * 50}.{number}", text * 500) for number in range(100)]
    huge = [
        InvalidRequest(fields),
        Mismatched(text * 5000, figures={f"{text * 99}{number}": text * 1000 for number in range(50)}),
        WrongState(text * 5000, figures={"a": "b"}, fields=fields),
    ]
    for error in huge:
        status = rpc_status(error)
        assert wire_bytes(status) < TRAILER_BYTES
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.domain == "defuse.dev"


def test_a_bad_request_names_its_fields_and_a_precondition_its_reason():
    status = rpc_status(InvalidRequest([("config.tau", "expected 0 to 1, got 2")]))
    request = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(request)
    assert request.field_violations[0].field == "config.tau"
    status = rpc_status(WrongState("audits/x is RUNNING", figures={"state": "RUNNING"}))
    failure = error_details_pb2.PreconditionFailure()
    assert status.details[1].Unpack(failure)
    assert failure.violations[0].type == "WRONG_STATE"


def test_an_unknown_error_is_internal_without_its_text():
    error = known(ZeroDivisionError("password"))
    assert CODES[error.reason] is grpc.StatusCode.INTERNAL
    assert "password" not in error.message

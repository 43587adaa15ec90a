"""What the server refuses, and what the caller sees of it."""

import re
import time

import defuse.errors
import grpc
import pytest
from defuse._enum_name import enum_name
from defuse.messages import Audit, ErrorReason, JobState

from tests.client.fake_server import Refusal

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


def test_each_status_code_has_an_error_of_its_own():
    assert set(defuse.errors.ERROR_BY_CODE) == set(CODES)
    assert len(set(defuse.errors.ERROR_BY_CODE.values())) == len(CODES)


def test_the_drawn_hierarchy_is_the_one_that_is_there():
    drawn = re.findall(r"^    ([│├└─ ]*)(\w+)", defuse.errors.__doc__, re.MULTILINE)
    parents, edges = {}, set()
    for branch, name in drawn:
        depth = len(branch) // 4
        parents[depth] = name
        edges.add((name, parents.get(depth - 1)))
    classes = [
        value
        for value in vars(defuse.errors).values()
        if isinstance(value, type) and issubclass(value, defuse.DefuseError)
    ]
    bases = {
        (one.__name__, one.__base__.__name__ if one is not defuse.DefuseError else None) for one in classes
    }
    assert edges == bases


@pytest.mark.parametrize(
    "code", [c for c in CODES if c is not grpc.StatusCode.UNAVAILABLE], ids=lambda c: c.name
)
def test_a_refused_call_raises_the_error_of_its_code_at_once(client, server, code):
    server.on("AuditService/GetAudit", Refusal(code, "not this one"))
    with pytest.raises(defuse.errors.ERROR_BY_CODE[code], match="not this one") as caught:
        client.get_audit("audits/a")
    assert caught.value.code is code
    assert caught.value.reason == ErrorReason.ERROR_REASON_UNSPECIFIED
    assert len(server.asked("AuditService/GetAudit")) == 1


def test_an_error_carries_the_reason_the_figures_and_the_fields(client, server):
    fields = [("config.tau", "expected (0, 1], got 2")]
    server.on(
        "AuditService/CreateAudit",
        Refusal(
            grpc.StatusCode.INVALID_ARGUMENT,
            "1 field",
            reason="INVALID_FIELD",
            figures={"n": "1"},
            fields=fields,
        ),
    )
    with pytest.raises(defuse.InvalidArgument) as caught:
        client.start_audit("classifiers/c", "vaes/v", "datasets/d", tau=2)
    error = caught.value
    assert error.reason == ErrorReason.ERROR_REASON_INVALID_FIELD
    assert error.reason_name == "INVALID_FIELD"
    assert error.figures == {"n": "1"}
    assert [(one.field, one.description) for one in error.field_violations] == fields
    assert "config.tau: expected (0, 1], got 2" in str(error)


@pytest.mark.parametrize(
    ("reason", "domain"),
    [("FROM_THE_FUTURE", "defuse.dev"), ("WRONG_STATE", "example.com")],
    ids=["new", "foreign"],
)
def test_a_reason_that_is_not_ours_leaves_the_code(client, server, reason, domain):
    server.on(
        "AuditService/GetAudit", Refusal(grpc.StatusCode.FAILED_PRECONDITION, reason=reason, domain=domain)
    )
    with pytest.raises(defuse.FailedPrecondition) as caught:
        client.get_audit("audits/a")
    assert caught.value.reason == ErrorReason.ERROR_REASON_UNSPECIFIED
    assert caught.value.reason_name == "FAILED_PRECONDITION"


def test_a_call_without_an_answer_ends_at_its_deadline(client, server):
    server.on("AuditService/GetAudit", lambda request: time.sleep(1))
    with pytest.raises(defuse.DeadlineExceeded):
        client.get_audit("audits/a", timeout_s=0.2)


def test_a_call_that_broke_before_its_status_came_is_asked_again(client, server):
    broken = Refusal(grpc.StatusCode.INTERNAL, "Internal error from Core")
    server.on("AuditService/GetAudit", broken, Audit(name="audits/a"))
    assert client.get_audit("audits/a").name == "audits/a"
    assert len(server.asked("AuditService/GetAudit")) == 2


@pytest.mark.parametrize(("value", "name"), [(JobState.JOB_STATE_RUNNING, "RUNNING"), (99, "99")])
def test_a_value_that_this_client_does_not_know_has_its_number_as_name(value, name):
    assert enum_name(JobState, value) == name

"""Deleting jobs that have ended; `test_audits.py` deletes audits, and `test_registry.py` what they read."""

import grpc
import pytest
from defuse.v1 import correction_service_pb2 as corrections
from defuse.v1 import promotion_service_pb2 as promotions
from defuse.v1 import registry_service_pb2 as registry


@pytest.mark.parametrize(
    ("message", "service", "module"),
    [
        (corrections.Correction, "corrections", corrections),
        (promotions.Evaluation, "promotions", promotions),
        (registry.VaeTraining, "registry", registry),
    ],
    ids=["correction", "evaluation", "training"],
)
async def test_a_job_is_deleted_once_it_has_ended(stubs, records, refused, message, service, module):
    kind = message.DESCRIPTOR.name
    stub = getattr(stubs, service)
    delete, request = getattr(stub, f"Delete{kind}"), getattr(module, f"Delete{kind}Request")
    dataset = await records.dataset()
    made = await records.made(message(), dataset.name)
    with refused() as problem:
        await delete(request(name=made.name))
    assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE")
    await (await records.attempt(made.name)).succeed(message())
    in_use = registry.DeleteDatasetRequest(name=dataset.name)
    with refused() as problem:
        await stubs.registry.DeleteDataset(in_use)
    assert problem.reason == "RESOURCE_IN_USE"
    await delete(request(name=made.name))
    with refused() as problem:
        await getattr(stub, f"Get{kind}")(getattr(module, f"Get{kind}Request")(name=made.name))
    assert problem.code is grpc.StatusCode.NOT_FOUND
    await stubs.registry.DeleteDataset(in_use)


async def test_what_a_deleted_job_made_stays(stubs, records, refused):
    correction = await records.finished(corrections.Correction())
    made = await records.classifier(lineage=registry.Lineage(correction=correction.name))
    await stubs.corrections.DeleteCorrection(corrections.DeleteCorrectionRequest(name=correction.name))
    shown = await stubs.registry.GetClassifier(registry.GetClassifierRequest(name=made.name))
    assert shown.lineage.correction == correction.name

"""A candidate that learned from corrupted labels, through a real worker: refused, and told for what."""

from defuse.v1.label_service_pb2 import LabelAnswer
from defuse.v1.models_pb2 import JOB_STATE_SUCCEEDED
from defuse.v1.promotion_service_pb2 import VERDICT_FAIL, VERDICT_PASS
from defuse.v1.registry_service_pb2 import REGISTRATION_STATE_READY

POLICY = "version: 1\nchecks: {annotator_agreement: off}"


async def test_it_fails_and_class_and_region_are_named(tiny, tiny_models, backend, start_worker):
    start_worker()
    audit = await tiny.ended((await tiny.audit(annotators_per_region=1)).name)
    assert audit.state == JOB_STATE_SUCCEEDED, audit.failure
    regions = {region.name: region for region in await backend.regions.range(audit.name, 0, 1000)}
    for task in await backend.labels.lease(audit.name, "ann", 100, 60.0):
        label = int(regions[task.region].mean[0] > 0)
        await backend.labels.submit(task.region, task.lease_token, LabelAnswer(label=label), "")
    bugs = {name for name, region in regions.items() if region.mean[0] > 0}

    candidate = await tiny.classifier(tiny_models.retrained_on_corrupted_labels(0.7))
    await tiny.until(candidate.name, lambda classifier: classifier.state == REGISTRATION_STATE_READY)
    evaluation = await tiny.evaluation(
        audit=audit.name, baseline=audit.classifier, candidate=candidate.name, policy=POLICY
    )
    evaluation = await tiny.ended(evaluation.name)
    assert evaluation.state == JOB_STATE_SUCCEEDED, evaluation.failure
    assert evaluation.verdict == VERDICT_FAIL
    checks = {(check.check, check.subject): check for check in evaluation.checks}
    failed = {key for key, check in checks.items() if check.verdict == VERDICT_FAIL}
    # It unlearned `right`, class 1; the known bugs are where it was weak before.
    assert {("clean_accuracy_change", ""), ("class_accuracy_change", "class 1")} <= failed
    assert {("region_accuracy", bug) for bug in bugs} <= failed
    assert checks["class_accuracy_change", "class 0"].verdict == VERDICT_PASS
    assert "class 1 loses" in checks["class_accuracy_change", "class 1"].remedy
    assert all(bug in checks["region_accuracy", bug].remedy for bug in bugs)

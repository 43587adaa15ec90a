"""A candidate that learned from corrupted labels, through a real worker: refused, and told for what."""

import pytest
from defuse.v1.promotion_service_pb2 import VERDICT_FAIL, VERDICT_PASS
from defuse.v1.registry_service_pb2 import REGISTRATION_STATE_READY

pytestmark = pytest.mark.xdist_group("shared audit")


@pytest.fixture
async def worse(labeled_audit, tiny, tiny_models, once):
    """The candidate's evaluation."""

    async def work():
        candidate = await tiny.classifier(tiny_models.retrained_on_corrupted_labels(0.7))
        await tiny.until(candidate.name, lambda classifier: classifier.state == REGISTRATION_STATE_READY)
        return await tiny.evaluated(labeled_audit, candidate.name)

    return await once("worse", work)


@pytest.fixture
def checks(worse):
    return {(check.check, check.subject): check for check in worse.checks}


@pytest.fixture
async def bugs(labeled_audit, backend) -> list[str]:
    """The regions that are right: the known bugs, where the candidate was weak before."""
    regions = await backend.regions.all(labeled_audit.name)
    return [region.name for region in regions if region.mean[0] > 0]


def test_it_fails(worse):
    assert worse.verdict == VERDICT_FAIL


def test_the_class_that_it_unlearned_is_named(checks):
    unlearned = checks["class_accuracy_change", "class 1"]
    assert (unlearned.verdict, checks["clean_accuracy_change", ""].verdict) == (VERDICT_FAIL, VERDICT_FAIL)
    assert "class 1 loses" in unlearned.remedy
    assert checks["class_accuracy_change", "class 0"].verdict == VERDICT_PASS


def test_each_bug_that_it_brings_back_is_named(bugs, checks):
    assert bugs
    for bug in bugs:
        assert checks["region_accuracy", bug].verdict == VERDICT_FAIL
        assert bug in checks["region_accuracy", bug].remedy

"""Asking for an evaluation, sync and async."""

import defuse
import grpc
import pytest
from defuse.messages import ErrorReason, Evaluation, Evidence, JobState, LabelingFigures, Verdict
from defuse.v1.promotion_service_pb2 import WatchEvaluationResponse

from tests.client.fake_server import Refusal

CREATE = "PromotionService/CreateEvaluation"
POLICY = "version: 1\n"


def test_over_an_audit_or_over_a_vae_and_a_dataset(client, server):
    server.on(CREATE, Evaluation(name="evaluations/e"))
    client.evaluate("classifiers/b", "classifiers/c", "audits/a", wait=False)
    vae, dataset = client_names()
    client.evaluate(
        "classifiers/b",
        "classifiers/c",
        vae=vae,
        dataset=dataset,
        policy=POLICY,
        candidate_sha256="0" * 64,
        seed=3,
        wait=False,
    )
    given, over = server.asked(CREATE)
    assert (given.audit, given.vae, given.dataset, given.policy) == ("audits/a", "", "", "")
    assert (over.audit, over.vae, over.dataset) == ("", "vaes/v", "datasets/d")
    assert (over.policy, over.candidate_sha256, over.config.seed) == (POLICY, "0" * 64, 3)
    assert given.request_id != over.request_id


def client_names() -> tuple[object, object]:
    """A resource and a name: both will do."""
    return defuse.messages.Vae(name="vaes/v"), "datasets/d"


def test_one_that_was_evaluated_before_is_the_answer_at_once(client, server):
    evaluated = Evaluation(
        name="evaluations/e",
        state=JobState.JOB_STATE_SUCCEEDED,
        verdict=Verdict.VERDICT_PASS,
        labeling=LabelingFigures(region_count=3, alpha=0.9),
        evidence=Evidence(verdict="artifacts/" + "0" * 64),
    )
    server.on(CREATE, evaluated)
    server.on("PromotionService/WatchEvaluation", [WatchEvaluationResponse(evaluation=evaluated)])
    assert client.evaluate("classifiers/b", "classifiers/c", "audits/a") == evaluated


def test_a_wrong_policy_names_its_lines(client, server):
    fields = [("policy:3", "line 3, column 5: unknown check")]
    server.on(
        CREATE,
        Refusal(
            grpc.StatusCode.INVALID_ARGUMENT, "the policy is wrong", reason="POLICY_INVALID", fields=fields
        ),
    )
    with pytest.raises(defuse.InvalidArgument) as caught:
        client.evaluate("classifiers/b", "classifiers/c", "audits/a", policy="?")
    assert caught.value.reason == ErrorReason.ERROR_REASON_POLICY_INVALID
    assert [violation.field for violation in caught.value.field_violations] == ["policy:3"]

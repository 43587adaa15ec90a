"""Digests of everything that a verdict depends on, so that the same inputs are not evaluated twice."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae
from google.protobuf.json_format import MessageToDict

from defuse_server.gate.checks.labels_and_age import label_checks
from defuse_server.gate.policy import Policy
from defuse_server.jobs.job_inputs import JobInputs


@dataclass(frozen=True)
class Compared:
    """The baseline and candidate of an evaluation, with their VAE and dataset. All of them are READY."""

    baseline: Classifier
    candidate: Classifier
    vae: Vae
    dataset: Dataset

    def job_inputs(self) -> JobInputs:
        """Return the inputs of an evaluation's job."""
        inputs = audit_inputs(self.baseline, self.vae, self.dataset)
        return inputs.classifier("candidate", self.candidate)


def audit_inputs(classifier: Classifier, vae: Vae, dataset: Dataset) -> JobInputs:
    """Return the inputs of an audit's job: the files, and how they are read."""
    return JobInputs().classifier("classifier", classifier).vae(vae).dataset(dataset)


def audit_digest(classifier: Classifier, vae: Vae, dataset: Dataset) -> str:
    """Return the digest of an audit's inputs. The names of the resources do not count."""
    return _digest(_plain(audit_inputs(classifier, vae, dataset)))


def waiting_digest(evaluation: Evaluation, compared: Compared) -> str:
    """Return the digest of an evaluation that waits for its audit and so has no labels yet."""
    return _digest({"awaits": evaluation.audit, **_asked(evaluation, compared)})


def input_digest(evaluation: Evaluation, compared: Compared, audit: Audit, signing_key_id: str) -> str:
    """Return the digest of everything that the verdict and its evidence depend on.

    Fill in labels, policy and code version first. Regions count by their numbers and files, so a repeated
    audit with the same labels has the same digest. What has no label counts by what the policy says of it.
    """
    policy = Policy.parse(evaluation.policy)
    return _digest(
        {
            **_asked(evaluation, compared),
            "regions": list(evaluation.region_files),
            "audit": MessageToDict(audit.config, preserving_proto_field_name=True),
            "audit_is_fresh": is_fresh(audit, policy, _made(evaluation)),
            "label_set": evaluation.label_set_digest,
            "label_checks": [
                [check.check, check.subject, check.verdict]
                for check in label_checks(evaluation, policy.checks)
            ],
            "code": evaluation.code_version,
            "signing_key": signing_key_id,
        }
    )


def is_fresh(audit: Audit, policy: Policy, made: datetime) -> bool:
    """Tell whether the policy calls an audit that has ended fresh for an evaluation made at `made`."""
    bound = policy.checks.audit_age
    if bound is None:
        return True
    return made - audit.times.end_time.ToDatetime(UTC) <= timedelta(days=bound.max_days)


def _made(evaluation: Evaluation) -> datetime:
    """Return the time at which the evaluation was made: now, if it has no record yet."""
    if evaluation.times.HasField("create_time"):
        return evaluation.times.create_time.ToDatetime(UTC)
    return datetime.now(UTC)


def _asked(evaluation: Evaluation, compared: Compared) -> dict[str, Any]:
    return {
        **_plain(compared.job_inputs()),
        "policy": evaluation.policy_sha256,
        "seed": evaluation.config.seed,
        "device": evaluation.config.device,
    }


def _plain(inputs: JobInputs) -> dict[str, Any]:
    return {"inputs": inputs.entries, "files": inputs.files}


def _digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 of canonical JSON: keys sorted, no spaces."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()

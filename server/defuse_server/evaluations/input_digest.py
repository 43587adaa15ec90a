"""What a verdict depends on, as digests: what is judged once need not be judged again."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.promotion_service_pb2 import Evaluation
from defuse.v1.registry_service_pb2 import Classifier, Dataset, Vae
from google.protobuf.json_format import MessageToDict

from defuse_server.gate.policy import Policy
from defuse_server.jobs.job_inputs import JobInputs
from defuse_server.names import parse_region_name


@dataclass(frozen=True)
class Compared:
    """What an evaluation compares, and over what; all of them READY."""

    baseline: Classifier
    candidate: Classifier
    vae: Vae
    dataset: Dataset

    def job_inputs(self) -> JobInputs:
        """What a job gets of them."""
        inputs = audited(self.baseline, self.vae, self.dataset)
        inputs.classifier("candidate", self.candidate)
        return inputs


def audited(classifier: Classifier, vae: Vae, dataset: Dataset) -> JobInputs:
    """What an audit's job gets: bytes, and how they are read."""
    inputs = JobInputs()
    inputs.classifier("classifier", classifier)
    inputs.vae(vae)
    inputs.dataset(dataset)
    return inputs


def audit_digest(classifier: Classifier, vae: Vae, dataset: Dataset) -> str:
    """Of what an audit searches, whatever names it is registered under."""
    return _digest(_plain(audited(classifier, vae, dataset)))


def waiting_digest(evaluation: Evaluation, compared: Compared) -> str:
    """Of an evaluation that waits for its audit, before there are labels to count with."""
    return _digest({"awaits": evaluation.audit, **_asked(evaluation, compared)})


def input_digest(evaluation: Evaluation, compared: Compared, audit: Audit, signing_key_id: str) -> str:
    """Of everything that verdict and evidence depend on; labels, policy and code must be filled in.

    Regions count by their numbers: the same audit made again, with the same labels, is the same evidence.
    """
    figures = MessageToDict(evaluation.labeling, preserving_proto_field_name=True)
    figures["unlabeled"] = [parse_region_name(name)[1] for name in evaluation.labeling.unlabeled]
    return _digest(
        {
            **_asked(evaluation, compared),
            "regions": evaluation.regions_artifact,
            "audit": MessageToDict(audit.config, preserving_proto_field_name=True),
            "audit_is_fresh": is_fresh(audit, Policy.parse(evaluation.policy), _made(evaluation)),
            "label_set": evaluation.label_set_digest,
            "labeling": figures,
            "code": evaluation.code_version,
            "signing_key": signing_key_id,
        }
    )


def is_fresh(audit: Audit, policy: Policy, made: datetime) -> bool:
    """Whether an audit that has ended is young enough for an evaluation by the policy, made at that time."""
    bound = policy.checks.audit_age
    if bound is None:
        return True
    return made - audit.times.end_time.ToDatetime(UTC) <= timedelta(days=bound.max_days)


def _made(evaluation: Evaluation) -> datetime:
    """The time that the audit's age counts to: now, where the record is not made yet."""
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
    """SHA-256 of canonical JSON: keys sorted, no spaces."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()

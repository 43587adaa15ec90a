"""Freezes the inputs of an evaluation into its record: later changes do not affect its verdict."""

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.correction_service_pb2 import Correction
from defuse.v1.promotion_service_pb2 import Evaluation

from defuse_server.backend import Backend
from defuse_server.evaluations import frozen_labels
from defuse_server.evaluations.input_digest import Compared, input_digest
from defuse_server.evaluations.worker_identity import read_worker_identity
from defuse_server.gate.policy import Policy
from defuse_server.names import artifact_sha256


def fill_in_asked(evaluation: Evaluation, compared: Compared, policy: Policy) -> None:
    """Fill in the names and digests of what is compared, and the policy."""
    evaluation.baseline = compared.baseline.name
    evaluation.candidate = compared.candidate.name
    evaluation.baseline_sha256 = artifact_sha256(compared.baseline.artifact)
    evaluation.candidate_sha256 = artifact_sha256(compared.candidate.artifact)
    evaluation.dataset_sha256 = artifact_sha256(compared.dataset.artifact)
    encoder = compared.vae.encoder_artifact
    evaluation.encoder_sha256 = artifact_sha256(encoder)
    # One file may hold both halves.
    evaluation.decoder_sha256 = artifact_sha256(compared.vae.decoder_artifact or encoder)
    evaluation.policy = policy.to_yaml()
    evaluation.policy_sha256 = policy.sha256


async def freeze(
    backend: Backend,
    evaluation: Evaluation,
    compared: Compared,
    audit: Audit,
    correction: Correction | None = None,
) -> None:
    """Fill in the labels of an audit that has SUCCEEDED, and the digest of all inputs.

    The labels are the present ones, or those that a correction of the audit used.
    """
    if correction is None:
        labels = await frozen_labels.for_evaluation(backend, audit.name)
    else:
        labels = await frozen_labels.of_correction(backend, correction)
    evaluation.audit = audit.name
    evaluation.label_set_digest = labels.digest
    evaluation.regions_artifact = labels.regions_artifact
    evaluation.region_files[:] = labels.region_files
    evaluation.labeling.CopyFrom(labels.figures)
    workers = await read_worker_identity(backend.redis)
    evaluation.code_version = workers.code_version
    evaluation.input_digest = input_digest(evaluation, compared, audit, workers.signing_key_id)

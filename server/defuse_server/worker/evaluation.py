"""Evaluations: the engine measures, and the gate decides."""

import asyncio
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.promotion_service_pb2 import ClassAccuracy, Evaluation, RegionAccuracy, SecondSearch

from defuse_server.evaluations.code_version import own_code_version
from defuse_server.evaluations.input_digest import input_digest
from defuse_server.evaluations.wait_for_audit import compared_by
from defuse_server.evidence import keep as evidence
from defuse_server.gate.decide import decide
from defuse_server.gate.policy import Policy
from defuse_server.labels import label_set
from defuse_server.names import region_name
from defuse_server.worker.job_config import config_json
from defuse_server.worker.job_folder import JobPlan
from defuse_server.worker.work import WarnedWork, figures_of


class EvaluationWork(WarnedWork[Evaluation]):
    """The work of one evaluation."""

    async def plan(self) -> JobPlan:
        """Plan with both classifiers, the audit's inputs and regions, and the frozen labels."""
        evaluation = self.message
        del evaluation.warnings[:]
        audit = await self.backend.resources.fetch(Audit, evaluation.audit)
        compared = await compared_by(self.backend, evaluation, audit)
        # The record may name other code or another key: those of other workers, or none.
        signer = self.supervisor.signer
        key_id = signer.public_key.keyid if signer else ""
        evaluation.code_version = own_code_version()
        evaluation.input_digest = input_digest(evaluation, compared, audit, key_id)
        inputs = compared.job_inputs()
        inputs.regions(evaluation.regions_artifact)
        config = {
            "labels": await label_set.labels_json(self.backend.store, evaluation.label_set_digest),
            "audit": config_json(audit.config),
            "audit_seed": audit.config.seed,
            "tau": audit.config.tau,
            "samples_per_region": Policy.parse(evaluation.policy).samples_per_region,
        }
        return JobPlan.of(evaluation.config, "evaluate", inputs, config)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the figures, decide, and store the evidence."""
        evaluation = self.message
        evaluation.config.device = evaluation.config.device or self.backend.settings.device
        evaluation.test_size = result["test_size"]
        evaluation.test_accuracy_before = result["test_accuracy_before"]
        evaluation.test_accuracy_after = result["test_accuracy_after"]
        del evaluation.classes[:], evaluation.regions[:], evaluation.checks[:]
        evaluation.classes.extend(ClassAccuracy(**entry) for entry in result["per_class"])
        evaluation.regions.extend(self._region(entry) for entry in result["regions"])
        found = result["second_search"]
        evaluation.second_search.CopyFrom(figures_of(SecondSearch, {**found, "seed_count": found["seeds"]}))
        self.set_warnings(result)
        policy = Policy.parse(evaluation.policy)
        evaluation.policy, evaluation.policy_sha256 = policy.to_yaml(), policy.sha256
        audit = await self.backend.resources.fetch(Audit, evaluation.audit)
        # Not the present time: a repeated job must end with the same verdict.
        age = evaluation.times.create_time.ToDatetime(UTC) - audit.times.end_time.ToDatetime(UTC)
        evaluation.verdict, checks = await asyncio.to_thread(decide, evaluation, policy, age)
        evaluation.checks.extend(checks)
        await evidence.keep(self.backend, evaluation, self.supervisor.signer)

    def _region(self, entry: Mapping[str, Any]) -> RegionAccuracy:
        figures = {name: value for name, value in entry.items() if name != "region"}
        return RegionAccuracy(region=region_name(self.message.audit, entry["region"]), **figures)

"""Corrections: the corrected model is registered as a classifier of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defuse.v1 import correction_service_pb2 as pb
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.registry_service_pb2 import Classifier, Lineage

from defuse_server.labels import label_set
from defuse_server.worker.audit import audit_inputs, finished_chunks
from defuse_server.worker.job_config import config_json, fill_in
from defuse_server.worker.job_folder import JobPlan
from defuse_server.worker.registering import registered
from defuse_server.worker.work import WarnedWork, figures_of


class CorrectionWork(WarnedWork[pb.Correction]):
    """The work of one correction."""

    async def plan(self) -> JobPlan:
        """Plan with the audit's inputs and regions, and the labels that were frozen for this correction."""
        correction = self.message
        del correction.warnings[:]
        audit = await self.backend.resources.fetch(Audit, correction.audit)
        inputs = await audit_inputs(audit, self.backend)
        inputs.regions(correction.regions_artifact or await self.backend.regions.artifact(audit.name))
        inputs.misclassifications(await finished_chunks(audit.name, self.backend))
        inputs.readers(await self.backend.regions.readers_artifact(audit.name))
        config = config_json(correction.config)
        config["labels"] = await label_set.labels_json(self.backend.store, correction.label_set_digest)
        config["tau"] = audit.config.tau
        config["audit"] = config_json(audit.config)
        config["audit_seed"] = audit.config.seed
        return JobPlan.of(correction.config, "correct", inputs, config)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the sweep, and register the corrected model."""
        correction = self.message
        fill_in(correction.config, result["config"], self.backend.settings.device)
        correction.baseline.CopyFrom(figures_of(pb.CorrectionPoint, result["baseline"]))
        correction.control.CopyFrom(figures_of(pb.CorrectionPoint, result["control"]))
        del correction.curve[:]
        # A point without regions has no lambda, and does not say whether it was chosen.
        correction.curve.extend(figures_of(pb.CorrectionPoint, point) for point in result["curve"])
        correction.parity_max_abs_error = result["parity_max_abs_error"]
        self.set_warnings(result)
        correction.corrected_classifier = await self._registered(folder / result["corrected"])

    async def _registered(self, file: Path) -> str:
        """Register the corrected model, and return the name of the READY classifier."""
        correction = self.message
        audit = await self.backend.resources.fetch(Audit, correction.audit)
        parent = await self.backend.resources.fetch(Classifier, audit.classifier)
        corrected = Classifier(
            display_name=f"{parent.display_name} (corrected)".strip()[:200],
            artifact=(await self.backend.store.put_file(file)).name,
            preprocessing=parent.preprocessing,
            output_kind=parent.output_kind,
            output_name=parent.output_name,
            lineage=Lineage(
                parent=parent.name,
                correction=correction.name,
                audit=audit.name,
                label_set_digest=correction.label_set_digest,
            ),
        )
        return await registered(corrected, self.attempt, self.backend, self.supervisor)

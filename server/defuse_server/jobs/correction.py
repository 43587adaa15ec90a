"""Corrections: the corrected model becomes a classifier of its own, inspected like any other."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defuse.v1 import models_pb2
from defuse.v1.audit_service_pb2 import Audit
from defuse.v1.correction_service_pb2 import Correction, CorrectionPoint
from defuse.v1.registry_service_pb2 import (
    REGISTRATION_STATE_INSPECTING,
    REGISTRATION_STATE_REJECTED,
    Classifier,
    Lineage,
)

from defuse_server.jobs import label_set
from defuse_server.jobs.audit import audit_inputs
from defuse_server.jobs.engine_events import EngineWarning
from defuse_server.jobs.folder import JobPlan
from defuse_server.jobs.work import JobRefused, Work, fetch, regions_artifact, warnings_of

_SETTINGS = ("learning_rate", "epochs", "samples_per_region")
"""Fields of CorrectionConfig that a job.json has under the same name; 0 stands for the default."""
_POLL_S = 0.2


class CorrectionWork(Work[Correction]):
    """One correction."""

    async def plan(self) -> JobPlan:
        """The audit's inputs and regions, and the labels that were frozen at the correction's creation."""
        correction = self.message
        del correction.warnings[:]
        audit = await fetch(self.backend, correction.audit, Audit)
        inputs = await audit_inputs(audit, self.backend)
        inputs.regions(await regions_artifact(self.backend, audit.name))
        settings = {name: getattr(correction.config, name) for name in _SETTINGS}
        config: dict[str, Any] = {name: value for name, value in settings.items() if value}
        if correction.config.lambdas:
            config["lambdas"] = list(correction.config.lambdas)
        config["labels"] = await label_set.labels_json(self.backend.store, correction.label_set_digest)
        config["tau"] = audit.config.tau
        return JobPlan(
            "correct", inputs, config=config, seed=correction.config.seed, device=correction.config.device
        )

    async def on_warning(self, event: EngineWarning) -> None:
        """Show a warning while the correction runs."""
        self.message.warnings.append(models_pb2.Warning(reason=event.reason, message=event.message))
        await self.attempt.update(self.message)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the sweep, and register the corrected model."""
        correction = self.message
        used = result["config"]
        for name in _SETTINGS:
            setattr(correction.config, name, used[name])
        correction.config.lambdas[:] = used["lambdas"]
        correction.config.device = correction.config.device or self.backend.settings.device
        correction.baseline.CopyFrom(_point({**result["baseline"], "lambda": 0.0, "chosen": False}))
        del correction.curve[:]
        correction.curve.extend(_point(point) for point in result["curve"])
        correction.parity_max_abs_error = result["parity_max_abs_error"]
        del correction.warnings[:]
        correction.warnings.extend(warnings_of(result))
        correction.corrected_classifier = await self._registered(folder / result["corrected"])

    async def _registered(self, file: Path) -> str:
        """Name of the corrected model's classifier, READY."""
        correction = self.message
        audit = await fetch(self.backend, correction.audit, Audit)
        parent = await fetch(self.backend, audit.classifier, Classifier)
        corrected = Classifier(
            display_name=f"{parent.display_name} (corrected)".strip()[:200],
            state=REGISTRATION_STATE_INSPECTING,
            artifact=(await self.backend.store.put_file(file)).name,
            preprocessing=parent.preprocessing,
            output_kind=parent.output_kind,
            lineage=Lineage(
                parent=parent.name,
                correction=correction.name,
                audit=audit.name,
                label_set_digest=correction.label_set_digest,
            ),
        )
        # Only who still has the job may register; a later attempt finds what this one registered.
        await self.attempt.heartbeat()
        name = correction.name
        registered, _ = await self.backend.resources.create(corrected, _request_id(name), name.encode())
        await self._inspected(registered.name)
        return registered.name

    async def _inspected(self, classifier: str) -> None:
        await self.supervisor.run(classifier)
        while True:
            corrected = await fetch(self.backend, classifier, Classifier)
            if corrected.state == REGISTRATION_STATE_REJECTED:
                raise JobRefused(corrected.failure)
            if corrected.state != REGISTRATION_STATE_INSPECTING:
                return
            # Another worker has its inspection.
            await asyncio.sleep(_POLL_S)


def _request_id(correction: str) -> str:
    """A UUID of version 4 in form, the same for each attempt at the same correction."""
    return str(uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_OID, correction).bytes, version=4))


def _point(point: Mapping[str, Any]) -> CorrectionPoint:
    known = (field.name for field in CorrectionPoint.DESCRIPTOR.fields)
    return CorrectionPoint(**{name: point[name] for name in known})

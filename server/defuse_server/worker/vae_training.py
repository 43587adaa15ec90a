"""Trainings of VAEs: the trained VAE is registered like any other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from defuse.v1.registry_service_pb2 import (
    Classifier,
    Dataset,
    Vae,
    VaeTraining,
    VaeTrainingMilestone,
    VaeTrainingPoint,
)

from defuse_server.jobs.job_inputs import JobInputs
from defuse_server.worker.job_config import config_json, fill_in
from defuse_server.worker.job_folder import JobPlan
from defuse_server.worker.registering import registered
from defuse_server.worker.transcode import contact_sheet_message, stored_sheets
from defuse_server.worker.work import WarnedWork, figures_of

_READABILITY: Final = (
    "readability",
    "classifier_readability",
    "independent_readability",
    "flattery",
    "readability_summary",
)
_SHEETS: Final = ("reconstruction_sheet", "prior_sheet")


class VaeTrainingWork(WarnedWork[VaeTraining]):
    """The work of one training. A later attempt starts again."""

    async def plan(self) -> JobPlan:
        """Plan with the dataset, and with the classifier that reads what is trained."""
        training = self.message
        del training.warnings[:]
        inputs = JobInputs()
        inputs.classifier("classifier", await self.backend.resources.fetch(Classifier, training.classifier))
        inputs.dataset(await self.backend.resources.fetch(Dataset, training.dataset))
        return JobPlan.of(training.config, "train_vae", inputs, config_json(training.config))

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the settings that were tried, store the sheets, and register the VAE."""
        training = self.message
        fill_in(training.config, result["config"], self.backend.settings.device)
        training.config.latent_sizes[:] = sorted({point["latent_size"] for point in result["points"]})
        del training.points[:]
        training.points.extend(VaeTrainingPoint(**point) for point in result["points"])
        del training.milestones[:]
        training.milestones.extend(VaeTrainingMilestone(**milestone) for milestone in result["milestones"])
        for name in _READABILITY:
            training.ClearField(name)
        training.MergeFrom(figures_of(VaeTraining, {name: result[name] for name in _READABILITY}))
        sheets = await stored_sheets(self.backend.store, result, folder, _SHEETS)
        for field in _SHEETS:
            getattr(training, field).CopyFrom(contact_sheet_message(result[field], sheets))
        self.set_warnings(result)
        training.vae = await self._registered(folder, result)

    async def _registered(self, folder: Path, result: Mapping[str, Any]) -> str:
        """Register the VAE, and return the name of the READY VAE."""
        training, store = self.message, self.backend.store
        vae = Vae(
            display_name=training.display_name or f"trained for {training.classifier}",
            encoder_artifact=(await store.put_file(folder / result["encoder"])).name,
            decoder_artifact=(await store.put_file(folder / result["decoder"])).name,
            training=training.name,
        )
        return await registered(vae, self.attempt, self.backend, self.supervisor)

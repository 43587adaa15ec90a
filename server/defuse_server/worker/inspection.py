"""Inspections: an engine opens each registered resource, which becomes READY or REJECTED."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defuse.v1 import models_pb2
from defuse.v1.models_pb2 import Interval, TensorSpec
from defuse.v1.registry_service_pb2 import (
    Classifier,
    ClassSheet,
    Dataset,
    DatasetDuplicates,
    DatasetPair,
    DatasetSplit,
    Vae,
    VaeSpread,
    VaeTensors,
)

from defuse_server.jobs.job_inputs import SPREAD_KINDS, JobInputs
from defuse_server.worker.job_folder import JobPlan
from defuse_server.worker.transcode import contact_sheet_message, stored_sheets
from defuse_server.worker.work import Work, image_shape

# An inspection runs a model once: an accelerator would only add its start-up time.
_DEVICE = "cpu"


class ClassifierInspection(Work[Classifier]):
    """Finds a classifier's signature and classes, and whether it can be corrected."""

    async def plan(self) -> JobPlan:
        """Plan with the classifier, and with the dataset that it is measured on."""
        inputs = JobInputs().classifier("classifier", self.message)
        if self.message.dataset:
            inputs.dataset(await self.backend.resources.fetch(Dataset, self.message.dataset))
        return JobPlan("inspect_classifier", inputs, device=_DEVICE)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the fields that are set when READY."""
        message = self.message
        message.input.CopyFrom(TensorSpec(**result["input"]))
        message.output.CopyFrom(TensorSpec(**result["output"]))
        message.class_count = result["class_count"]
        if result["image_shape"] is not None:
            message.image_shape.CopyFrom(image_shape(result["image_shape"]))
        message.differentiable = result["differentiable"]
        message.undifferentiable_operations[:] = result["undifferentiable_ops"]
        message.opset = result["opset"]
        if "dataset_accuracy" in result:
            message.dataset_accuracy.CopyFrom(Interval(**result["dataset_accuracy"]))
        _set_warnings(message, result)


class VaeInspection(Work[Vae]):
    """Finds a VAE's latent size, and checks that its halves fit together."""

    async def plan(self) -> JobPlan:
        """Plan with the VAE alone."""
        return JobPlan("inspect_vae", JobInputs().vae(self.message), device=_DEVICE)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the fields that are set when READY."""
        self.message.latent_size = result["latent_size"]
        self.message.tensors.CopyFrom(_vae_tensors(result["tensors"]))
        if result["image_shape"] is not None:
            self.message.image_shape.CopyFrom(image_shape(result["image_shape"]))
        _set_warnings(self.message, result)


class DatasetInspection(Work[Dataset]):
    """Reads a whole dataset, counts and shows its items, and warns of what is likely wrong."""

    async def plan(self) -> JobPlan:
        """Plan with the dataset alone."""
        return JobPlan("inspect_dataset", JobInputs().dataset(self.message), device=_DEVICE)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the fields that are set when READY. Classes without names get numbers."""
        message = self.message
        message.image_shape.CopyFrom(image_shape(result["image_shape"]))
        if not message.class_names:
            message.class_names[:] = [str(label) for label in range(result["class_count"])]
        del message.splits[:]
        message.splits.extend(DatasetSplit(split=split, **found) for split, found in result["splits"].items())
        message.value_min = result["value_min"]
        message.value_max = result["value_max"]
        message.dtype = result["dtype"]
        del message.warnings[:]
        message.warnings.extend(models_pb2.Warning(**entry) for entry in result["warnings"])
        del message.duplicates[:]
        message.duplicates.extend(DatasetDuplicates(**entry) for entry in result["duplicates"])
        del message.duplicate_pairs[:]
        message.duplicate_pairs.extend(DatasetPair(**entry) for entry in result["duplicate_pairs"])
        await self._store_sheets(result, folder)

    async def _store_sheets(self, result: Mapping[str, Any], folder: Path) -> None:
        drawn = dict(result["class_sheet"])
        artifact = await self.backend.store.put_file(folder / drawn.pop("file"))
        self.message.class_sheet.CopyFrom(ClassSheet(artifact=artifact.name, **drawn))
        if result["duplicate_sheet"] is not None:
            sheets = await stored_sheets(self.backend.store, result, folder, ("duplicate_sheet",))
            self.message.duplicate_sheet.CopyFrom(contact_sheet_message(result["duplicate_sheet"], sheets))


def _set_warnings(message: Classifier | Vae, result: Mapping[str, Any]) -> None:
    del message.warnings[:]
    message.warnings.extend(models_pb2.Warning(**entry) for entry in result["warnings"])


def _vae_tensors(found: Mapping[str, str]) -> VaeTensors:
    kinds = {name: kind for kind, name in SPREAD_KINDS.items()}
    # If the image's shape is open, the audit finds the kind by its first images.
    kind = kinds.get(found["spread_kind"], VaeSpread.VAE_SPREAD_UNSPECIFIED)
    names = {name: found[name] for name in ("mu", "spread", "code", "image")}
    return VaeTensors(spread_kind=kind, **names)

"""Inspections: an engine opens each registered resource, which becomes READY or REJECTED."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defuse.v1.models_pb2 import TensorSpec
from defuse.v1.registry_service_pb2 import Classifier, Dataset, DatasetSplit, Vae, VaeSpread, VaeTensors

from defuse_server.jobs.job_inputs import SPREAD_KINDS, JobInputs
from defuse_server.worker.job_folder import JobPlan
from defuse_server.worker.work import Work, image_shape

# An inspection runs a model once: an accelerator would only add its start-up time.
_DEVICE = "cpu"


class ClassifierInspection(Work[Classifier]):
    """Finds a classifier's signature and classes, and whether it can be corrected."""

    async def plan(self) -> JobPlan:
        """Plan with the classifier alone."""
        inputs = JobInputs()
        inputs.classifier("classifier", self.message)
        return JobPlan("inspect_classifier", inputs, device=_DEVICE)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the fields that are set when READY."""
        message = self.message
        message.input.CopyFrom(_tensor_spec(result["input"]))
        message.output.CopyFrom(_tensor_spec(result["output"]))
        message.class_count = result["class_count"]
        if result["image_shape"] is not None:
            message.image_shape.CopyFrom(image_shape(result["image_shape"]))
        message.differentiable = result["differentiable"]
        message.undifferentiable_operations[:] = result["undifferentiable_ops"]
        message.opset = result["opset"]


class VaeInspection(Work[Vae]):
    """Finds a VAE's latent size, and checks that its halves fit together."""

    async def plan(self) -> JobPlan:
        """Plan with the VAE alone."""
        inputs = JobInputs()
        inputs.vae(self.message)
        return JobPlan("inspect_vae", inputs, device=_DEVICE)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the fields that are set when READY."""
        self.message.latent_size = result["latent_size"]
        self.message.tensors.CopyFrom(_vae_tensors(result["tensors"]))
        if result["image_shape"] is not None:
            self.message.image_shape.CopyFrom(image_shape(result["image_shape"]))


class DatasetInspection(Work[Dataset]):
    """Reads a whole dataset, and counts its items."""

    async def plan(self) -> JobPlan:
        """Plan with the dataset alone."""
        inputs = JobInputs()
        inputs.dataset(self.message)
        return JobPlan("inspect_dataset", inputs, device=_DEVICE)

    async def conclude(self, result: Mapping[str, Any], folder: Path) -> None:
        """Fill in the fields that are set when READY. Classes without names get numbers."""
        message = self.message
        message.image_shape.CopyFrom(image_shape(result["image_shape"]))
        if not message.class_names:
            message.class_names[:] = [str(label) for label in range(result["class_count"])]
        del message.splits[:]
        for split, found in result["splits"].items():
            message.splits.append(
                DatasetSplit(split=split, size=found["size"], class_counts=found["class_counts"])
            )
        message.value_min = result["value_min"]
        message.value_max = result["value_max"]


def _vae_tensors(found: Mapping[str, str]) -> VaeTensors:
    kinds = {name: kind for kind, name in SPREAD_KINDS.items()}
    return VaeTensors(
        mu=found["mu"],
        spread=found["spread"],
        # If the image's shape is open, the audit finds the kind by its first images.
        spread_kind=kinds.get(found["spread_kind"], VaeSpread.VAE_SPREAD_UNSPECIFIED),
        code=found["code"],
        image=found["image"],
    )


def _tensor_spec(spec: Mapping[str, Any]) -> TensorSpec:
    return TensorSpec(name=spec["name"], dtype=spec["dtype"], shape=spec["shape"])

"""The `inputs` of a job.json (docs/job-folder.md), made from the records that a job works on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast

from defuse.v1 import models_pb2 as models
from defuse.v1 import registry_service_pb2 as registry

SPREAD_KINDS: Mapping[registry.VaeSpread, str] = {
    registry.VAE_SPREAD_LOGVAR: "logvar",
    registry.VAE_SPREAD_SIGMA: "sigma",
    registry.VAE_SPREAD_NONE: "none",
}


@dataclass
class JobInputs:
    """The `inputs` of a job.json, and the artifacts of its files. Each method adds one input."""

    entries: dict[str, Any] = field(default_factory=lambda: cast("dict[str, Any]", {}))
    files: dict[str, str] = field(default_factory=lambda: cast("dict[str, str]", {}))
    """Path in the job folder -> `artifacts/{sha256}`."""

    def classifier(self, entry: str, classifier: registry.Classifier) -> Self:
        """Add a classifier as `classifier` or `candidate`."""
        probabilities = classifier.output_kind == models.OUTPUT_KIND_PROBABILITIES
        self.entries[entry] = {
            "file": self._file(f"{entry}.onnx", classifier.artifact),
            "preprocessing": preprocessing_json(classifier.preprocessing),
            "output_kind": "probabilities" if probabilities else "logits",
            **({"output": classifier.output_name} if classifier.output_name else {}),
        }
        return self

    def vae(self, vae: registry.Vae) -> Self:
        """Add the VAE: its two files, or the one file that holds both halves."""
        self.entries["vae"] = {
            "encoder": self._file("encoder.onnx", vae.encoder_artifact),
            "preprocessing": preprocessing_json(vae.preprocessing),
        }
        if vae.decoder_artifact:
            self.entries["vae"]["decoder"] = self._file("decoder.onnx", vae.decoder_artifact)
        if vae.training:
            self.entries["vae"]["trained_by"] = "defuse"
        if tensors := tensors_json(vae.tensors):
            self.entries["vae"]["tensors"] = tensors
        return self

    def dataset(self, dataset: registry.Dataset) -> Self:
        """Add the dataset."""
        entry: dict[str, Any] = {"file": self._file("dataset.npz", dataset.artifact)}
        if dataset.layout == models.LAYOUT_NHWC:
            entry["layout"] = "NHWC"
        if dataset.class_names:
            entry["class_names"] = list(dataset.class_names)
        self.entries["dataset"] = entry
        return self

    def regions(self, artifact: str) -> Self:
        """Add an audit's file of regions."""
        self.entries["regions"] = {"file": self._file("regions.npz", artifact)}
        return self

    def readers(self, artifact: str) -> Self:
        """Add the file of the readers that an audit trained; nothing if it has none."""
        if artifact:
            self.entries["readers"] = {"file": self._file("readers.npz", artifact)}
        return self

    def misclassifications(self, chunks: Mapping[int, str]) -> Self:
        """Add an audit's chunk files, given as shard -> artifact in shard order."""
        files = [self._file(f"misclassifications-{shard:05d}.npz", name) for shard, name in chunks.items()]
        self.entries["misclassifications"] = {"files": files}
        return self

    def _file(self, name: str, artifact: str) -> str:
        path = f"inputs/{name}"
        self.files[path] = artifact
        return path


def preprocessing_json(preprocessing: models.Preprocessing) -> dict[str, Any]:
    """Return a preprocessing for job.json, with defaults for unset fields."""
    layout = {models.LAYOUT_NHWC: "NHWC", models.LAYOUT_FLAT: "FLAT"}.get(preprocessing.layout, "NCHW")
    return {
        "layout": layout,
        "scale": preprocessing.scale or 1.0,
        "mean": list(preprocessing.mean) or [0.0],
        "std": list(preprocessing.std) or [1.0],
    }


def tensors_json(tensors: registry.VaeTensors) -> dict[str, str]:
    """Return the names of a VAE's tensors for job.json. Names that the engine must find are left out."""
    names = {"mu": tensors.mu, "spread": tensors.spread, "code": tensors.code, "image": tensors.image}
    kind = SPREAD_KINDS.get(tensors.spread_kind, "")
    return {key: value for key, value in {**names, "spread_kind": kind}.items() if value}

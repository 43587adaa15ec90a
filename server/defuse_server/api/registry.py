"""RegistryService."""

from typing import Final

from defuse.v1 import registry_service_pb2 as pb
from defuse.v1.models_pb2 import Layout, OutputKind

from defuse_server import names, validation
from defuse_server.api import compatibility, configs
from defuse_server.api.creation import as_requested, create_with_job, requested
from defuse_server.api.lookup import find_ready
from defuse_server.backend import Backend
from defuse_server.validation import Violations

CLASS_NAMES_MAX: Final = 10_000
CLASS_NAME_CHARACTERS: Final = 200
TENSOR_NAME_CHARACTERS: Final = 500


class RegistryService:
    """Registers classifiers, VAEs and datasets, and trains VAEs; see registry_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def register_classifier(self, request: pb.RegisterClassifierRequest) -> pb.Classifier:
        """Create a classifier that waits for its inspection."""
        with Violations() as violations:
            validation.creation(violations, request)
            validation.artifact(violations, "artifact", request.artifact)
            configs.preprocessing(violations, request.preprocessing)
            validation.member(violations, "output_kind", request.output_kind, OutputKind)
            validation.text(violations, "output_name", request.output_name, TENSOR_NAME_CHARACTERS)
            if request.dataset:
                validation.name(violations, "dataset", request.dataset, "datasets")
        await self._check_stored(request.artifact)
        references: list[str] = []
        if request.dataset:
            dataset = await find_ready(self._backend.resources, pb.Dataset, request.dataset, "dataset")
            references.append(dataset.name)
        classifier = as_requested(pb.Classifier, request)
        return await create_with_job(self._backend, requested(classifier, request, references=references))

    async def register_vae(self, request: pb.RegisterVaeRequest) -> pb.Vae:
        """Create a VAE that waits for its inspection."""
        _check_vae(request)
        await self._check_stored(request.encoder_artifact, *filter(None, [request.decoder_artifact]))
        vae = as_requested(pb.Vae, request)
        if not request.HasField("tensors"):
            vae.ClearField("tensors")
        return await create_with_job(self._backend, requested(vae, request))

    async def register_dataset(self, request: pb.RegisterDatasetRequest) -> pb.Dataset:
        """Create a dataset that waits for its inspection."""
        _check_dataset(request)
        await self._check_stored(request.artifact)
        dataset = as_requested(pb.Dataset, request)
        dataset.layout = dataset.layout or Layout.LAYOUT_NCHW
        return await create_with_job(self._backend, requested(dataset, request))

    async def train_vae(self, request: pb.TrainVaeRequest) -> pb.VaeTraining:
        """Create a training of a VAE for a classifier and a dataset that are READY."""
        with Violations() as violations:
            validation.creation(violations, request)
            validation.name(violations, "classifier", request.classifier, "classifiers")
            validation.name(violations, "dataset", request.dataset, "datasets")
            configs.job_config(violations, request.config)
        resources = self._backend.resources
        classifier = await find_ready(resources, pb.Classifier, request.classifier, "classifier")
        dataset = await find_ready(resources, pb.Dataset, request.dataset, "dataset")
        compatibility.classifier_fits(classifier, dataset)
        training = as_requested(pb.VaeTraining, request)
        new = requested(training, request, references=[classifier.name, dataset.name])
        return await create_with_job(self._backend, new)

    async def _check_stored(self, *artifacts: str) -> None:
        for artifact in artifacts:
            await self._backend.store.stat(names.artifact_sha256(artifact))


def _check_vae(request: pb.RegisterVaeRequest) -> None:
    with Violations() as violations:
        validation.creation(violations, request)
        validation.artifact(violations, "encoder_artifact", request.encoder_artifact)
        # One file may hold both halves.
        if request.decoder_artifact:
            validation.artifact(violations, "decoder_artifact", request.decoder_artifact)
        configs.preprocessing(violations, request.preprocessing)
        validation.member(violations, "tensors.spread_kind", request.tensors.spread_kind, pb.VaeSpread)
        for name in ("mu", "spread", "code", "image"):
            validation.text(
                violations, f"tensors.{name}", getattr(request.tensors, name), TENSOR_NAME_CHARACTERS
            )


def _check_dataset(request: pb.RegisterDatasetRequest) -> None:
    with Violations() as violations:
        validation.creation(violations, request)
        validation.artifact(violations, "artifact", request.artifact)
        violations.require(
            request.layout in (Layout.LAYOUT_UNSPECIFIED, Layout.LAYOUT_NCHW, Layout.LAYOUT_NHWC),
            "layout",
            f"expected LAYOUT_NCHW or LAYOUT_NHWC, got {request.layout}",
        )
        count = len(request.class_names)
        violations.require(
            count <= CLASS_NAMES_MAX, "class_names", f"expected at most {CLASS_NAMES_MAX}, got {count}"
        )
        violations.require(len(set(request.class_names)) == count, "class_names", "expected each name once")
        for name in request.class_names[:CLASS_NAMES_MAX]:
            validation.text(violations, "class_names", name, CLASS_NAME_CHARACTERS, least=1)

"""RegistryService."""

from typing import Final, TypeVar

from defuse.v1.models_pb2 import Layout
from defuse.v1.registry_service_pb2 import (
    Classifier,
    Dataset,
    DeleteClassifierRequest,
    DeleteClassifierResponse,
    DeleteDatasetRequest,
    DeleteDatasetResponse,
    DeleteVaeRequest,
    DeleteVaeResponse,
    GetClassifierRequest,
    GetDatasetRequest,
    GetVaeRequest,
    ListClassifiersRequest,
    ListClassifiersResponse,
    ListDatasetsRequest,
    ListDatasetsResponse,
    ListVaesRequest,
    ListVaesResponse,
    RegisterClassifierRequest,
    RegisterDatasetRequest,
    RegisterVaeRequest,
    RegistrationState,
    Vae,
    VaeSpread,
)

from defuse_server import names, validation
from defuse_server.api import configs
from defuse_server.api.creation import started
from defuse_server.api.lookup import check_name, found
from defuse_server.api.vae_trainings import VaeTrainings
from defuse_server.validation import Violations

CLASS_NAMES_MAX: Final = 10_000
CLASS_NAME_CHARACTERS: Final = 200
TENSOR_NAME_CHARACTERS: Final = 500

_R = TypeVar("_R", Classifier, Vae, Dataset)
_ListRequest = ListClassifiersRequest | ListVaesRequest | ListDatasetsRequest


class RegistryService(VaeTrainings):
    """Knows classifiers, VAEs and datasets; see registry_service.proto."""

    async def register_classifier(self, request: RegisterClassifierRequest) -> Classifier:
        """Makes a classifier that waits for its inspection."""
        _check_classifier(request)
        await self._check_stored(request.artifact)
        classifier = Classifier(
            display_name=request.display_name,
            artifact=request.artifact,
            preprocessing=request.preprocessing,
            output_kind=request.output_kind,
            output_name=request.output_name,
        )
        return await started(self._backend, classifier, request, request.request_id)

    async def get_classifier(self, request: GetClassifierRequest) -> Classifier:
        """A classifier as it stands."""
        return await found(self._resources, Classifier, request.name)

    async def list_classifiers(self, request: ListClassifiersRequest) -> ListClassifiersResponse:
        """A page of classifiers, newest first."""
        classifiers, token = await self._list(Classifier, request)
        return ListClassifiersResponse(classifiers=classifiers, next_page_token=token)

    async def delete_classifier(self, request: DeleteClassifierRequest) -> DeleteClassifierResponse:
        """Deletes a classifier that nothing refers to."""
        await self._delete(Classifier, request.name)
        return DeleteClassifierResponse()

    async def register_vae(self, request: RegisterVaeRequest) -> Vae:
        """Makes a VAE that waits for its inspection."""
        _check_vae(request)
        await self._check_stored(request.encoder_artifact, *filter(None, [request.decoder_artifact]))
        vae = Vae(
            display_name=request.display_name,
            encoder_artifact=request.encoder_artifact,
            decoder_artifact=request.decoder_artifact,
            preprocessing=request.preprocessing,
            tensors=request.tensors if request.HasField("tensors") else None,
        )
        return await started(self._backend, vae, request, request.request_id)

    async def get_vae(self, request: GetVaeRequest) -> Vae:
        """A VAE as it stands."""
        return await found(self._resources, Vae, request.name)

    async def list_vaes(self, request: ListVaesRequest) -> ListVaesResponse:
        """A page of VAEs, newest first."""
        vaes, token = await self._list(Vae, request)
        return ListVaesResponse(vaes=vaes, next_page_token=token)

    async def delete_vae(self, request: DeleteVaeRequest) -> DeleteVaeResponse:
        """Deletes a VAE that nothing refers to."""
        await self._delete(Vae, request.name)
        return DeleteVaeResponse()

    async def register_dataset(self, request: RegisterDatasetRequest) -> Dataset:
        """Makes a dataset that waits for its inspection."""
        _check_dataset(request)
        await self._check_stored(request.artifact)
        dataset = Dataset(
            display_name=request.display_name,
            artifact=request.artifact,
            layout=request.layout or Layout.LAYOUT_NCHW,
            class_names=request.class_names,
        )
        return await started(self._backend, dataset, request, request.request_id)

    async def get_dataset(self, request: GetDatasetRequest) -> Dataset:
        """A dataset as it stands."""
        return await found(self._resources, Dataset, request.name)

    async def list_datasets(self, request: ListDatasetsRequest) -> ListDatasetsResponse:
        """A page of datasets, newest first."""
        datasets, token = await self._list(Dataset, request)
        return ListDatasetsResponse(datasets=datasets, next_page_token=token)

    async def delete_dataset(self, request: DeleteDatasetRequest) -> DeleteDatasetResponse:
        """Deletes a dataset that nothing refers to."""
        await self._delete(Dataset, request.name)
        return DeleteDatasetResponse()

    async def _check_stored(self, *artifacts: str) -> None:
        for artifact in artifacts:
            await self._backend.store.stat(names.artifact_sha256(artifact))

    async def _list(self, kind: type[_R], request: _ListRequest) -> tuple[list[_R], str]:
        validation.check_state(request.state, RegistrationState)
        return await self._resources.list(kind, request.page_size, request.page_token, request.state)

    async def _delete(self, kind: type[_R], name: str) -> None:
        check_name(kind, name)
        await self._resources.delete(name)


def _check_classifier(request: RegisterClassifierRequest) -> None:
    violations = Violations()
    validation.creation(violations, request)
    validation.artifact(violations, "artifact", request.artifact)
    configs.preprocessing(violations, request.preprocessing)
    configs.output_kind(violations, request.output_kind)
    validation.text(violations, "output_name", request.output_name, TENSOR_NAME_CHARACTERS)
    violations.check()


def _check_vae(request: RegisterVaeRequest) -> None:
    violations = Violations()
    validation.creation(violations, request)
    validation.artifact(violations, "encoder_artifact", request.encoder_artifact)
    # One file may hold both halves.
    if request.decoder_artifact:
        validation.artifact(violations, "decoder_artifact", request.decoder_artifact)
    configs.preprocessing(violations, request.preprocessing)
    validation.member(violations, "tensors.spread_kind", request.tensors.spread_kind, VaeSpread)
    for name in ("mu", "spread", "code", "image"):
        validation.text(violations, f"tensors.{name}", getattr(request.tensors, name), TENSOR_NAME_CHARACTERS)
    violations.check()


def _check_dataset(request: RegisterDatasetRequest) -> None:
    violations = Violations()
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
    violations.require(len(set(request.class_names)) == count, "class_names", "expected no name twice")
    for name in request.class_names[:CLASS_NAMES_MAX]:
        validation.text(violations, "class_names", name, CLASS_NAME_CHARACTERS, least=1)
    violations.check()

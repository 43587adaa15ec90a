"""Classifiers, VAEs and datasets: get, list, delete, and push, which is upload, register and wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from defuse._flow import DEFAULT_TIMEOUT_S, Flow, StreamFlow, paged, sleep, unary
from defuse._requests import Named, enum_value, name_of, new_request_id, preprocessing
from defuse._transfer import OnTransfer, Path_, upload
from defuse.errors import Rejected
from defuse.v1.models_pb2 import Layout, OutputKind
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
    VaeTensors,
)

POLL_INTERVAL_S = 0.25

G = TypeVar("G", Classifier, Vae, Dataset)


def push_classifier(
    path: Path_,
    *,
    layout: Layout | str | None = None,
    scale: float | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    output_kind: OutputKind | str | None = None,
    output_name: str = "",
    display_name: str = "",
    wait: bool = True,
    on_progress: OnTransfer | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[Classifier]:
    """Upload and register an ONNX classifier; with `wait`, return it READY or raise Rejected.

    The model is fed `(image * scale - mean) / std`, each channel of it, laid out as `nchw` (the default),
    `nhwc` or `flat`; `output_kind` is `logits` (the default) or `probabilities`. Integer images of a dataset
    count as value / 255: a model that takes 0..255 has scale 255. `output_name` says which of the model's
    outputs holds the scores (batch, K); it is needed where more than one could.
    """
    request = RegisterClassifierRequest(
        request_id=new_request_id(),
        display_name=display_name,
        preprocessing=preprocessing(layout, scale, mean, std),
        output_kind=enum_value(OutputKind, "OUTPUT_KIND_", output_kind),
        output_name=output_name,
    )
    request.artifact = (yield from upload(path, on_progress=on_progress, timeout_s=timeout_s)).name
    made = yield from unary("RegistryService/RegisterClassifier", request, Classifier, timeout_s)
    return (yield from inspected(made, lambda: get_classifier(made, timeout_s=timeout_s))) if wait else made


def push_vae(
    encoder: Path_,
    decoder: Path_ | None = None,
    *,
    layout: Layout | str | None = None,
    scale: float | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    mu: str = "",
    spread: str = "",
    spread_kind: VaeSpread | str | None = None,
    code: str = "",
    image: str = "",
    display_name: str = "",
    wait: bool = True,
    on_progress: OnTransfer | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[Vae]:
    """Upload and register a VAE; with `wait`, return it READY or raise Rejected.

    It comes as two ONNX files, or as one that holds both halves and gives mu beside the reconstruction. The
    preprocessing, as of `push_classifier`, is that of the encoder's input; its inverse maps the decoder's
    output back to an image.

    `mu`, `spread`, `code` and `image` name tensors, where the usual names and shapes do not tell;
    `spread_kind` is `logvar`, `sigma` or `none`. The code is the decoder's input, of one file the tensor that
    the decoding half starts from.
    """
    request = RegisterVaeRequest(
        request_id=new_request_id(),
        display_name=display_name,
        preprocessing=preprocessing(layout, scale, mean, std),
        tensors=VaeTensors(
            mu=mu,
            spread=spread,
            spread_kind=enum_value(VaeSpread, "VAE_SPREAD_", spread_kind),
            code=code,
            image=image,
        ),
    )
    request.encoder_artifact = (yield from upload(encoder, on_progress=on_progress, timeout_s=timeout_s)).name
    if decoder is not None:
        stored = yield from upload(decoder, on_progress=on_progress, timeout_s=timeout_s)
        request.decoder_artifact = stored.name
    made = yield from unary("RegistryService/RegisterVae", request, Vae, timeout_s)
    return (yield from inspected(made, lambda: get_vae(made, timeout_s=timeout_s))) if wait else made


def push_dataset(
    path: Path_,
    *,
    class_names: Sequence[str] = (),
    layout: Layout | str | None = None,
    display_name: str = "",
    wait: bool = True,
    on_progress: OnTransfer | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[Dataset]:
    """Upload and register an .npz file; with `wait`, return it READY or raise Rejected.

    It holds x_train, y_train, x_validation, y_validation, x_test, y_test; images are (N, height, width),
    (N, channels, height, width), or with layout `nhwc` (N, height, width, channels). Classes without names
    are named by number.
    """
    request = RegisterDatasetRequest(
        request_id=new_request_id(),
        display_name=display_name,
        layout=enum_value(Layout, "LAYOUT_", layout),
        class_names=class_names,
    )
    request.artifact = (yield from upload(path, on_progress=on_progress, timeout_s=timeout_s)).name
    made = yield from unary("RegistryService/RegisterDataset", request, Dataset, timeout_s)
    return (yield from inspected(made, lambda: get_dataset(made, timeout_s=timeout_s))) if wait else made


def inspected(registration: G, get: Callable[[], Flow[G]]) -> Flow[G]:
    """Wait until a registration is READY; `get` reads it again. Raises Rejected."""
    while registration.state != RegistrationState.REGISTRATION_STATE_READY:
        if registration.state == RegistrationState.REGISTRATION_STATE_REJECTED:
            raise Rejected(registration)
        yield from sleep(POLL_INTERVAL_S)
        registration = yield from get()
    return registration


def get_classifier(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Classifier]:
    """Return a classifier as it stands. Raises NotFound."""
    request = GetClassifierRequest(name=name_of(name))
    return unary("RegistryService/GetClassifier", request, Classifier, timeout_s)


def get_vae(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Vae]:
    """Return a VAE as it stands. Raises NotFound."""
    return unary("RegistryService/GetVae", GetVaeRequest(name=name_of(name)), Vae, timeout_s)


def get_dataset(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Dataset]:
    """Return a dataset as it stands. Raises NotFound."""
    return unary("RegistryService/GetDataset", GetDatasetRequest(name=name_of(name)), Dataset, timeout_s)


def list_classifiers(
    *, state: RegistrationState | str | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[Classifier]:
    """Hand out all classifiers, or those in a state (`ready`, ...), newest first."""
    wanted = _registration_state(state)
    return paged(
        "RegistryService/ListClassifiers",
        lambda token: ListClassifiersRequest(page_token=token, state=wanted),
        ListClassifiersResponse,
        lambda page: list(page.classifiers),
        timeout_s,
    )


def list_vaes(
    *, state: RegistrationState | str | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[Vae]:
    """Hand out all VAEs, or those in a state (`ready`, ...), newest first."""
    wanted = _registration_state(state)
    return paged(
        "RegistryService/ListVaes",
        lambda token: ListVaesRequest(page_token=token, state=wanted),
        ListVaesResponse,
        lambda page: list(page.vaes),
        timeout_s,
    )


def list_datasets(
    *, state: RegistrationState | str | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[Dataset]:
    """Hand out all datasets, or those in a state (`ready`, ...), newest first."""
    wanted = _registration_state(state)
    return paged(
        "RegistryService/ListDatasets",
        lambda token: ListDatasetsRequest(page_token=token, state=wanted),
        ListDatasetsResponse,
        lambda page: list(page.datasets),
        timeout_s,
    )


def delete_classifier(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[None]:
    """Delete a classifier that nothing refers to. Raises NotFound, FailedPrecondition."""
    request = DeleteClassifierRequest(name=name_of(name))
    yield from unary("RegistryService/DeleteClassifier", request, DeleteClassifierResponse, timeout_s)


def delete_vae(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[None]:
    """Delete a VAE that nothing refers to. Raises NotFound, FailedPrecondition."""
    request = DeleteVaeRequest(name=name_of(name))
    yield from unary("RegistryService/DeleteVae", request, DeleteVaeResponse, timeout_s)


def delete_dataset(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[None]:
    """Delete a dataset that nothing refers to. Raises NotFound, FailedPrecondition."""
    request = DeleteDatasetRequest(name=name_of(name))
    yield from unary("RegistryService/DeleteDataset", request, DeleteDatasetResponse, timeout_s)


def _registration_state(state: RegistrationState | str | None) -> RegistrationState:
    return enum_value(RegistrationState, "REGISTRATION_STATE_", state)

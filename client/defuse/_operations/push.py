"""Pushing classifiers, VAEs and datasets: upload, register, and wait for the inspection."""

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import Message

from defuse._calls.flows import create, each
from defuse._calls.request_fields import Named, enum_value, name_of, preprocessing
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow
from defuse._operations.resources import CLASSIFIERS, DATASETS, VAES, Kind
from defuse._operations.transfer import OnTransfer, PathLike, upload
from defuse.errors import Internal, Rejected
from defuse.v1 import registry_service_pb2 as pb
from defuse.v1.models_pb2 import Layout, OutputKind

G = TypeVar("G", pb.Classifier, pb.Vae, pb.Dataset)


def push_classifier(
    path: PathLike,
    *,
    layout: Layout | str | None = None,
    scale: float | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    output_kind: OutputKind | str | None = None,
    output_name: str = "",
    dataset: Named | None = None,
    display_name: str = "",
    wait: bool = True,
    on_progress: OnTransfer | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[pb.Classifier]:
    """Upload and register an ONNX classifier; with `wait`, return it once it is READY.

    The model gets `(image * scale - mean) / std` for each channel, laid out as `nchw` (the default), `nhwc`
    or `flat`. Integer images of a dataset count as value / 255, so a model that takes 0..255 has scale 255.
    `output_kind` is `logits` (the default) or `probabilities`. `output_name` names the output that holds the
    scores (batch, K); you need it if more than one output could.

    With `dataset`, the inspection measures the classifier on a sample of the validation split
    (`dataset_accuracy`). It rejects a classifier near chance, names the likely cause, and warns if another
    preprocessing is clearly better (`warnings`).

    Raises `Rejected` if the file is not such a model, `ArgumentError` for an empty file, and `OSError`.
    """
    request = pb.RegisterClassifierRequest(
        display_name=display_name,
        preprocessing=preprocessing(layout, scale, mean, std),
        output_kind=enum_value(OutputKind, output_kind),
        output_name=output_name,
        dataset=name_of(dataset),
    )
    request.artifact = (yield from upload(path, on_progress=on_progress, timeout_s=timeout_s)).name
    return (yield from _registered(CLASSIFIERS, request, wait, timeout_s))


def push_vae(
    encoder: PathLike,
    decoder: PathLike | None = None,
    *,
    layout: Layout | str | None = None,
    scale: float | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    mu: str = "",
    spread: str = "",
    spread_kind: pb.VaeSpread | str | None = None,
    code: str = "",
    image: str = "",
    display_name: str = "",
    wait: bool = True,
    on_progress: OnTransfer | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[pb.Vae]:
    """Upload and register a VAE; with `wait`, return it once it is READY.

    A VAE is two ONNX files, or one file that holds both halves and returns mu beside the reconstruction. The
    preprocessing, as in `push_classifier`, is applied to the encoder's input; its inverse turns the decoder's
    output into an image.

    `mu`, `spread`, `code` and `image` name tensors; you need them only if names and shapes do not tell which
    is which. `code` is the decoder's input, or in a single file the tensor that the decoding half starts
    from. `spread_kind` is `logvar`, `sigma` or `none`.

    Raises `Rejected` if the files are not such a VAE, `ArgumentError` for an empty file, and `OSError`.
    """
    request = pb.RegisterVaeRequest(
        display_name=display_name,
        preprocessing=preprocessing(layout, scale, mean, std),
        tensors=pb.VaeTensors(
            mu=mu,
            spread=spread,
            spread_kind=enum_value(pb.VaeSpread, spread_kind),
            code=code,
            image=image,
        ),
    )
    request.encoder_artifact = (yield from upload(encoder, on_progress=on_progress, timeout_s=timeout_s)).name
    if decoder is not None:
        stored = yield from upload(decoder, on_progress=on_progress, timeout_s=timeout_s)
        request.decoder_artifact = stored.name
    return (yield from _registered(VAES, request, wait, timeout_s))


def push_dataset(
    path: PathLike,
    *,
    class_names: Sequence[str] = (),
    layout: Layout | str | None = None,
    display_name: str = "",
    wait: bool = True,
    on_progress: OnTransfer | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[pb.Dataset]:
    """Upload and register an .npz file; with `wait`, return it once it is READY.

    The file holds x_train, y_train, x_validation, y_validation, x_test and y_test. Images are (N, height,
    width), (N, channels, height, width), or with layout `nhwc` (N, height, width, channels). Without
    `class_names`, the classes are named by their numbers.

    Raises `Rejected` if the file is not such a dataset, `ArgumentError` for an empty file, and `OSError`.
    """
    request = pb.RegisterDatasetRequest(
        display_name=display_name,
        layout=enum_value(Layout, layout),
        class_names=class_names,
    )
    request.artifact = (yield from upload(path, on_progress=on_progress, timeout_s=timeout_s)).name
    return (yield from _registered(DATASETS, request, wait, timeout_s))


def _registered(
    kind: Kind[G, pb.RegistrationState], request: Message, wait: bool, timeout_s: float | None
) -> Flow[G]:
    made = yield from create(request, kind.resource, timeout_s)
    return (yield from inspected(kind, made, timeout_s)) if wait else made


def inspected(kind: Kind[G, pb.RegistrationState], registration: G, timeout_s: float | None) -> Flow[G]:
    """Wait until a registration is READY and return it. Raises `Rejected`."""
    last = registration

    def update(seen: G) -> None:
        nonlocal last
        last = seen

    if registration.state == pb.RegistrationState.REGISTRATION_STATE_INSPECTING:
        yield from each(kind.watch(registration.name, timeout_s=timeout_s), update)
    if last.state == pb.RegistrationState.REGISTRATION_STATE_REJECTED:
        raise Rejected(last)
    if last.state != pb.RegistrationState.REGISTRATION_STATE_READY:
        raise Internal(f"the server ended the watch of {last.name} before its inspection; watch it again")
    return last

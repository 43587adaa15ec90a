"""Models that answer the same item in the same way, whenever and beside whatever it is asked.

Everything that an audit measures is a difference between answers. If the answer depends on a random draw, or
on the other items of the batch, such differences say nothing about the item.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import torch

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.inputs.dataset import Dataset
from defuse_engine.models.onnx_graph.onnx_file import TensorSpec
from defuse_engine.models.onnx_graph.unsteady_operations import (
    Kind,
    UnsteadyOperation,
    unsteady_operations,
)
from defuse_engine.models.onnx_model import Classifier, Decoder, Encoder
from defuse_engine.models.preprocessing import ImageShape, apply
from defuse_engine.models.session import Session
from defuse_engine.types import Images, Preprocessing

ITEMS = 32
"""Items that are asked several times."""
_LEAST_ITEMS = 4
_ITEMS_BYTES = 1 << 26
_SMALL_BATCH = 5
_FINE, _COARSE = (1e-3, 1e-5), (3e-2, 1e-2)
"""Differences that count as rounding, as shares: of how far answers lie from their mean, and of the largest.
A sum in another order differs in the last digits. Float16, TF32 (CUDA) and quantised values have few."""
_DRAWN = (1e-6, 1e-6)
"""The same for a call that is repeated, if the graph draws random numbers: little noise is noise too."""
_FEW_DIGITS = {int(onnx.TensorProto.FLOAT16), int(onnx.TensorProto.BFLOAT16)}
_QUANTISED = ("QuantizeLinear", "DynamicQuantizeLinear", "QLinear", "Integer")
_EVALUATION_MODE = "Call model.eval() before torch.onnx.export, and leave `training` at TrainingMode.EVAL"
_REMEDIES: dict[Kind, str] = {
    "training": _EVALUATION_MODE,
    "random": "Leave the random draw out of the graph",
    "batch": "Compute over an item's own axes, not over the batch",
    "rounding": "Quantise statically: the steps of a dynamic quantisation depend on the batch",
}
_REMEDY_OF_ENCODERS = "An encoder gives mu and logvar as outputs, not a sample of them"
_NAMED = 3


def require_repeatable(session: Session, outputs: list[TensorSpec], values: torch.Tensor) -> None:
    """Ask the same items twice, alone, in batches of two sizes, and in another order.

    `values` are items as the model takes them, (n, ...) on the device. A file that demands a batch size is
    asked in that alone. Raises MODEL_NOT_REPEATABLE if an answer differs by more than rounding.
    """
    model = onnx.load_model_from_string(session.model_bytes)
    suspects = unsteady_operations(model, tuple(output.name for output in outputs))
    shares = _COARSE if session.runtime.is_cuda or _few_digits(model.graph) else _FINE
    drawn = any(suspect.draws and suspect.decides for suspect in suspects)
    with torch.no_grad():
        for output in outputs:
            alone = _asked(session, output, values, 1, range(len(values)))
            again = _asked(session, output, values, 1, range(len(values)))
            _compare(session, output, alone, again, _DRAWN if drawn else shares, "asked again", suspects)
            if session.batch_size == 1:
                continue
            for size, order in _batches(len(values), session.batch_size):
                other = _asked(session, output, values, size, order)
                _compare(session, output, alone, other, shares, f"asked in a batch of {size}", suspects)


def require_repeatable_classifier(classifier: Classifier, dataset: Dataset) -> None:
    """Ask a classifier several times about items of the validation split; raises MODEL_NOT_REPEATABLE."""
    values = _model_input(classifier.preprocessing, some_images(dataset), classifier.session)
    require_repeatable(classifier.session, [classifier.output], values)


def require_repeatable_vae(encoder: Encoder, decoder: Decoder, dataset: Dataset) -> None:
    """Ask a VAE's halves several times about items of the validation split; raises MODEL_NOT_REPEATABLE."""
    images = some_images(dataset)
    values = _model_input(encoder.preprocessing, images, encoder.session)
    require_repeatable(encoder.session, encoder_outputs(encoder), values)
    codes = np.nan_to_num(encoder(images), posinf=0.0, neginf=0.0)
    require_repeatable(
        decoder.session, [decoder.output], torch.from_numpy(codes).to(decoder.session.runtime.device)
    )


def encoder_outputs(encoder: Encoder) -> list[TensorSpec]:
    """Return the outputs that count: mu and its spread. A sample of them beside is nobody's business."""
    return [encoder.mu, *([encoder.spread] if encoder.spread else [])]


def some_images(dataset: Dataset) -> Images:
    """Return a few dozen images of the validation split, evenly spread over it."""
    split = dataset.validation
    count = _affordable(split.pixels.shape[1:])
    return split.images(np.unique(np.linspace(0, len(split) - 1, count).astype(np.int64)))


def drawn_inputs(
    session: Session, preprocessing: Preprocessing, image_shape: ImageShape | None
) -> torch.Tensor:
    """Draw inputs of a model whose item shape is known, always the same: images in 0..1 of any brightness."""
    takes_bytes = session.signature.input.dtype == "uint8"
    # Without the image's shape it is not known which numbers are of which channel.
    shape = None if takes_bytes else image_shape
    item = shape or session.signature.input.shape[1:]
    generator = torch.Generator().manual_seed(0)
    count = _affordable(item)
    brightness = torch.rand((count, *[1] * len(item)), generator=generator)
    values = brightness * torch.rand((count, *item), generator=generator)
    scale = 255.0 if takes_bytes else preprocessing.scale
    values = apply(preprocessing, values) if shape else scale * values
    return values.to(session.runtime.device)


def drawn_codes(session: Session, latent_size: int) -> torch.Tensor:
    """Draw codes (n, D) of the prior, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((ITEMS, latent_size), generator=generator).to(session.runtime.device)


def idle_operations(model_bytes: bytes, outputs: tuple[str, ...], what: str) -> list[dict[str, str]]:
    """Return the warnings of a model that is repeatable although it holds unsteady operations."""
    found = unsteady_operations(onnx.load_model_from_string(model_bytes), outputs)
    # Means over the batch that no answer depends on are left out: graphs hold some for good reasons.
    idle = [one for one in found if one.kind in ("training", "random")]
    if not idle:
        return []
    return [
        {
            "reason": "UNSTEADY_OPERATIONS",
            "message": f"{what} holds {_listed(idle)}. Its answers in {', '.join(outputs)} did not differ "
            f"because of that; another runtime may answer otherwise. {_remedies(idle)}",
        }
    ]


def _model_input(preprocessing: Preprocessing, images: Images, session: Session) -> torch.Tensor:
    return apply(preprocessing, torch.from_numpy(images).to(session.runtime.device))


def _affordable(item: tuple[int, ...]) -> int:
    return int(np.clip(_ITEMS_BYTES // (4 * max(1, int(np.prod(item)))), _LEAST_ITEMS, ITEMS))


def _batches(count: int, most: int) -> Iterator[tuple[int, list[int]]]:
    """Give batch sizes, each with the order of the items."""
    backwards = list(range(count))[::-1]
    yield min(_SMALL_BATCH, most, count), [*backwards[1::2], *backwards[::2]]
    yield min(most, count), backwards


def _asked(
    session: Session, output: TensorSpec, values: torch.Tensor, size: int, order: list[int] | range
) -> np.ndarray:
    """Return the answers (n, ...) in the items' own order, after asking in another."""
    rows = torch.tensor(list(order), device=values.device)
    parts = [session.run(values[part], output) for part in rows.split(size)]
    answers = torch.empty_like(torch.cat(parts))
    answers[rows] = torch.cat(parts)
    return answers.cpu().numpy()


def _compare(
    session: Session,
    output: TensorSpec,
    first: np.ndarray,
    second: np.ndarray,
    shares: tuple[float, float],
    how: str,
    suspects: list[UnsteadyOperation],
) -> None:
    of_spread, of_largest = shares
    # NaN and infinite values are another check's business, unless they come and go.
    both = np.isfinite(first) & np.isfinite(second)
    known = np.where(both, first, 0.0).astype(np.float64)
    largest = float(np.abs(known).max(initial=0.0))
    spread = float(np.abs(known - known.mean(axis=0)).max(initial=0.0))
    apart = float(np.abs(np.where(both, second, 0.0) - known).max(initial=0.0))
    allowed = of_spread * spread + of_largest * largest
    if apart <= allowed and np.array_equal(np.isfinite(first), np.isfinite(second)):
        return
    causes = [suspect for suspect in suspects if suspect.decides]
    remedy = _remedies(causes) if causes else _EVALUATION_MODE
    if "encoder" in session.what:
        remedy = f"{remedy}. {_REMEDY_OF_ENCODERS}"
    told = f"The likely cause: {_listed(causes)}. " if causes else ""
    raise InvalidModel(
        Reason.MODEL_NOT_REPEATABLE,
        f"{session.what} answers the same item differently when it is {how}: {output.name!r} differs by "
        f"{apart:.2g}, where answers differ by up to {spread:.2g} from their mean and rounding explains "
        f"{allowed:.2g}. What an audit measures would be chance. {told}{remedy}",
        {
            "output": output.name,
            "difference": apart,
            "allowed": allowed,
            "operations": _listed(causes),
        },
    )


def _listed(operations: list[UnsteadyOperation]) -> str:
    more = len(operations) - _NAMED
    told = ", ".join(map(str, operations[:_NAMED]))
    return f"{told} and {more} more" if more > 0 else told


def _remedies(operations: list[UnsteadyOperation]) -> str:
    kinds: list[Kind] = [one.kind for one in operations]
    return ". ".join(_REMEDIES[kind] for kind in dict.fromkeys(kinds))


def _few_digits(graph: onnx.GraphProto) -> bool:
    """Tell whether a graph computes with few digits anywhere."""
    stored = any(tensor.data_type in _FEW_DIGITS for tensor in graph.initializer)
    inputs = any(value.type.tensor_type.elem_type in _FEW_DIGITS for value in graph.input)
    casts = any(a.name == "to" and a.i in _FEW_DIGITS for node in graph.node for a in node.attribute)
    quantised = any(sign in node.op_type for node in graph.node for sign in _QUANTISED)
    return stored or inputs or casts or quantised

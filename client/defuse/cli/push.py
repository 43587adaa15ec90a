"""`defuse push`: upload a model or a dataset, register it, and wait until it is inspected."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.message import Message

from defuse.cli.output import Json, write_facts, write_json
from defuse.cli.progress import transfer_bars
from defuse.cli.session import connect
from defuse.messages import Dataset, ImageShape

app = typer.Typer(help="Upload and register models and datasets.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
SecondFile = Annotated[
    Path | None,
    typer.Argument(
        exists=True, dir_okay=False, readable=True, help="Left out where the first file holds both halves."
    ),
]
Title = Annotated[str, typer.Option("--name", help="What to call it in lists.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is inspected.")]
Scale = Annotated[float | None, typer.Option(help="The model takes (image * scale - mean) / std.")]
Mean = Annotated[list[float] | None, typer.Option(help="One value, or one a channel (repeat the option).")]
Std = Annotated[list[float] | None, typer.Option(help="One value, or one a channel (repeat the option).")]


class ModelLayout(StrEnum):
    """How a model's input holds an image."""

    NCHW = "nchw"
    NHWC = "nhwc"
    FLAT = "flat"


class DatasetLayout(StrEnum):
    """How a dataset holds its images."""

    NCHW = "nchw"
    NHWC = "nhwc"


class Outputs(StrEnum):
    """What a classifier's output is."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"


class Spread(StrEnum):
    """What an encoder gives beside mu."""

    LOGVAR = "logvar"
    SIGMA = "sigma"
    NONE = "none"


@app.command()
def classifier(
    context: typer.Context,
    path: File,
    layout: ModelLayout = ModelLayout.NCHW,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    output_kind: Outputs = Outputs.LOGITS,
    output: Annotated[
        str, typer.Option(help="Which of the model's outputs holds the scores, where several could.")
    ] = "",
    name: Title = "",
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Push an ONNX classifier."""
    with connect(context) as client, transfer_bars() as on_progress:
        pushed = client.push_classifier(
            path,
            layout=layout,
            scale=scale,
            mean=mean or (),
            std=std or (),
            output_kind=output_kind,
            output_name=output,
            display_name=name,
            wait=wait,
            on_progress=on_progress,
        )
    facts = [("classes", pushed.class_count or None), ("images", _shape(pushed.image_shape))]
    if pushed.undifferentiable_operations:
        facts.append(("can't be corrected", ", ".join(pushed.undifferentiable_operations)))
    _show(pushed, pushed.name, facts, json)


@app.command()
def vae(
    context: typer.Context,
    encoder: File,
    decoder: SecondFile = None,
    layout: ModelLayout = ModelLayout.NCHW,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    mu: Annotated[str, typer.Option(help="The encoder's output mu.")] = "",
    spread: Annotated[str, typer.Option(help="The encoder's output logvar or sigma.")] = "",
    spread_kind: Annotated[
        Spread | None, typer.Option(help="What that output is; default: told by its name or its values.")
    ] = None,
    code: Annotated[
        str, typer.Option(help="The decoder's input; of one file, where the decoding half starts.")
    ] = "",
    image: Annotated[str, typer.Option(help="The decoder's output.")] = "",
    name: Title = "",
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Push a VAE: an ONNX encoder (image to mu, logvar or sigma) and an ONNX decoder (z to image).

    One file may hold both halves. Tensors need to be named only where their names and shapes do not tell.
    """
    with connect(context) as client, transfer_bars() as on_progress:
        pushed = client.push_vae(
            encoder,
            decoder,
            layout=layout,
            scale=scale,
            mean=mean or (),
            std=std or (),
            mu=mu,
            spread=spread,
            spread_kind=spread_kind,
            code=code,
            image=image,
            display_name=name,
            wait=wait,
            on_progress=on_progress,
        )
    facts: list[tuple[str, object]] = [
        ("latent size", pushed.latent_size or None),
        ("images", _shape(pushed.image_shape)),
    ]
    if pushed.tensors.mu:
        tensors = pushed.tensors
        facts.append(
            ("tensors", ", ".join(filter(None, [tensors.mu, tensors.spread, tensors.code, tensors.image])))
        )
    _show(pushed, pushed.name, facts, json)


@app.command()
def dataset(
    context: typer.Context,
    path: File,
    class_name: Annotated[
        list[str] | None, typer.Option(help="Name of the next class, in order (repeat the option).")
    ] = None,
    layout: DatasetLayout = DatasetLayout.NCHW,
    name: Title = "",
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Push a dataset: an .npz with x_train, y_train, x_validation, y_validation, x_test, y_test."""
    with connect(context) as client, transfer_bars() as on_progress:
        pushed = client.push_dataset(
            path,
            class_names=class_name or (),
            layout=layout,
            display_name=name,
            wait=wait,
            on_progress=on_progress,
        )
    facts = [("classes", ", ".join(pushed.class_names)), ("items", _sizes(pushed))]
    _show(pushed, pushed.name, [*facts, ("images", _shape(pushed.image_shape))], json)


def _show(pushed: Message, name: str, facts: Sequence[tuple[str, object]], json: bool) -> None:
    if json:
        write_json(pushed)
    else:
        write_facts([("name", name), *facts])


def _shape(shape: ImageShape) -> str:
    return f"{shape.channels} x {shape.height} x {shape.width}" if shape.height else ""


def _sizes(dataset: Dataset) -> str:
    return ", ".join(f"{split.size} {split.split}" for split in dataset.splits)

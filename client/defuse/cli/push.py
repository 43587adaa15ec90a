"""`defuse push`: upload a model or a dataset, register it, and wait for its inspection."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from defuse.cli.connection import connect
from defuse.cli.output import Json, write
from defuse.cli.progress import transfer_bars
from defuse.cli.registration_text import write_classifier, write_dataset, write_vae

app = typer.Typer(help="Upload and register models and datasets.", no_args_is_help=True)


ModelLayout = Literal["nchw", "nhwc", "flat"]
OutputKind = Literal["logits", "probabilities"]

Title = Annotated[str, typer.Option("--name", help="The name in lists. By default empty.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the inspection has ended.")]
Layout = Annotated[
    ModelLayout,
    typer.Option(
        case_sensitive=False,
        help="How the model's input holds an image; N is the batch, C the channels.",
    ),
]
Scale = Annotated[
    float | None,
    typer.Option(
        help="The model gets (image * scale - mean) / std. Integer images (uint8) count as value / 255 "
        "before that: a model that takes 0..255 has scale 255. By default 1."
    ),
]
Mean = Annotated[
    list[float] | None, typer.Option(help="One value, or one per channel (repeat the option). By default 0.")
]
Std = Annotated[
    list[float] | None, typer.Option(help="One value, or one per channel (repeat the option). By default 1.")
]


def _file(help_text: str) -> Any:
    return typer.Argument(exists=True, dir_okay=False, help=help_text)


@app.command()
def classifier(
    context: typer.Context,
    path: Annotated[Path, _file("The ONNX file, with its weights inside.")],
    layout: Layout = "nchw",
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    output_kind: Annotated[
        OutputKind, typer.Option(case_sensitive=False, help="What the model's output holds for each class.")
    ] = "logits",
    output: Annotated[
        str,
        typer.Option(help="Name of the output with the scores. By default the only one that can hold them."),
    ] = "",
    dataset: Annotated[
        str,
        typer.Option(
            help="datasets/ID to measure the classifier on at once. The inspection then shows its accuracy, "
            "and says if another preprocessing fits better. By default none."
        ),
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
            dataset=dataset or None,
            display_name=name,
            wait=wait,
            on_progress=on_progress,
        )
    write(pushed, json, write_classifier)


@app.command()
def vae(
    context: typer.Context,
    encoder: Annotated[Path, _file("The encoder's ONNX file, or one file that holds both halves.")],
    decoder: Annotated[
        Path | None, _file("The decoder's ONNX file. Leave it out if the first file holds both halves.")
    ] = None,
    layout: Layout = "nchw",
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    mu: Annotated[
        str,
        typer.Option(
            help="Name of the encoder's output mu. By default found by names and shapes, as are the next."
        ),
    ] = "",
    spread: Annotated[
        str, typer.Option(help="Name of the encoder's output logvar or sigma. By default found.")
    ] = "",
    spread_kind: Annotated[
        Literal["logvar", "sigma", "none"] | None,
        typer.Option(
            case_sensitive=False,
            help="What the output --spread holds. By default found by its name or its values.",
        ),
    ] = None,
    code: Annotated[
        str,
        typer.Option(
            help="Name of the decoder's input, or in one file of the tensor where the decoder starts. By "
            "default found."
        ),
    ] = "",
    image: Annotated[str, typer.Option(help="Name of the decoder's output. By default found.")] = "",
    name: Title = "",
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Push a VAE: an ONNX encoder (image to mu, logvar or sigma) and an ONNX decoder (z to image).

    One file may hold both halves. Name tensors only if the inspection can't tell which is which.
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
    write(pushed, json, write_vae)


@app.command()
def dataset(
    context: typer.Context,
    path: Annotated[Path, _file("The .npz file.")],
    class_name: Annotated[
        list[str] | None,
        typer.Option(help="Name of the next class (repeat the option, in order). By default their numbers."),
    ] = None,
    layout: Annotated[
        Literal["nchw", "nhwc"],
        typer.Option(
            case_sensitive=False, help="How the dataset holds images; N is the number, C the channels."
        ),
    ] = "nchw",
    name: Title = "",
    wait: Wait = True,
    sheet: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="PNG file to save a picture with items of each class in. By default none.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Push a dataset: an .npz file with x_train, y_train, x_validation, y_validation, x_test and y_test."""
    if sheet and not wait:
        raise typer.BadParameter("--sheet needs --wait: the inspection makes the picture")
    with connect(context) as client, transfer_bars() as on_progress:
        pushed = client.push_dataset(
            path,
            class_names=class_name or (),
            layout=layout,
            display_name=name,
            wait=wait,
            on_progress=on_progress,
        )
        if sheet:
            client.download(pushed.class_sheet.artifact, sheet)
    write(pushed, json, partial(write_dataset, sheet=sheet))

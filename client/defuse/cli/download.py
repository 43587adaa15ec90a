"""`defuse download`."""

from pathlib import Path
from typing import Annotated

import typer

from defuse.cli.connection import connect
from defuse.cli.output import Json, stdout, write_json
from defuse.cli.progress import transfer_bars


def download(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="artifacts/SHA256, classifiers/ID or datasets/ID.")
    ],
    out: Annotated[Path, typer.Argument(dir_okay=False, help="The file to write. An old one is replaced.")],
    json: Json = False,
) -> None:
    """Download an artifact, a classifier's ONNX file or a dataset's .npz file."""
    with connect(context) as client, transfer_bars() as on_progress:
        client.download(name, out, on_progress=on_progress)
    size_bytes = out.stat().st_size
    if json:
        write_json({"name": name, "path": str(out), "size_bytes": str(size_bytes)})
    else:
        stdout.print(f"{out} ({size_bytes} bytes)", markup=False)

"""`defuse vae ...`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from defuse.cli import jobs
from defuse.cli.connection import connect
from defuse.cli.figures import readability, share
from defuse.cli.output import Json, stdout, write_facts, write_json, write_table
from defuse.cli.progress import state_of
from defuse.cli.settings import takes_settings
from defuse.client import Client
from defuse.messages import VaeTraining, VaeTrainingConfig

app = typer.Typer(help="Train the VAE that an audit searches.", no_args_is_help=True)

_Sheets = Annotated[
    Path,
    typer.Option("--sheets", file_okay=False, help="Folder for the pictures that show what the VAE makes."),
]
_HALF_SPENT = 0.7
"""The budget's share up to which a milestone stands for its first half."""
_WORTH_WHILE = 0.005
_SHEETS = Path("vae-sheets")


@app.command()
@takes_settings(VaeTrainingConfig)
def train(
    context: typer.Context,
    dataset: Annotated[str, typer.Option(help="datasets/ID of the images to learn.")],
    classifier: Annotated[str, typer.Option(help="classifiers/ID. It must read what the VAE makes.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the training has ended.")] = True,
    name: Annotated[str, typer.Option(help="The training's name in lists. By default empty.")] = "",
    sheets: _Sheets = _SHEETS,
    json: Json = False,
    **settings: Any,
) -> None:
    """Train a VAE that the classifier can read, and register it."""
    with connect(context) as client:
        training = client.train_vae(classifier, dataset, display_name=name, wait=False, **settings)
        if wait:
            jobs.write_started(training)
            training = jobs.waited(client, training)
        _show(client, training, sheets, json)


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="TRAINING", help="vaeTrainings/ID.")],
    sheets: _Sheets = _SHEETS,
    json: Json = False,
) -> None:
    """Show a training as it stands: what it tried, and pictures of what the VAE makes."""
    with connect(context) as client:
        _show(client, client.get_vae_training(name), sheets, json)


def _show(client: Client, training: VaeTraining, folder: Path, json: bool) -> None:
    saved = _saved(client, training, folder)
    if json:
        write_json(training)
    else:
        write_training(training, saved)


def write_training(training: VaeTraining, pictures: Sequence[Path] = ()) -> None:
    """Write what a training tried and made, and where its pictures were saved."""
    write_facts(
        ("name", training.name),
        ("display name", training.display_name),
        ("state", state_of(training)),
        ("failure", training.failure.message),
        ("classifier", training.classifier),
        ("dataset", training.dataset),
        ("vae", training.vae),
        ("readability", readability(training) if training.vae else ""),
        ("more time", _more_time(training)),
        ("pictures", ", ".join(str(path) for path in pictures)),
        *[("warning", f"{warning.reason}: {warning.message}") for warning in training.warnings],
    )
    if training.points:
        stdout.print()
        rows = [
            {
                "": "chosen" if point.chosen else "",
                "latent size": point.latent_size,
                "KL weight": f"{point.kl_weight:g}",
                "readability": share(point.readability),
                "pixel error": f"{point.reconstruction_mse:.4f}",
                "KL": f"{point.kl:.1f} nats",
                "steps": point.steps,
            }
            for point in training.points
        ]
        write_table(rows)


def _more_time(training: VaeTraining) -> str:
    """Say what the second half of the budget brought, and so what more of it would."""
    earlier = [milestone for milestone in training.milestones if milestone.budget_share <= _HALF_SPENT]
    if not earlier:
        return ""
    half, last = earlier[-1].readability, training.milestones[-1].readability
    told = f"the second half of the budget took readability from {share(half)} to {share(last)}"
    if last - half >= _WORTH_WHILE:
        return f"{told}: a longer training (--budget-s) still helps"
    return f"{told}: a longer training would bring little"


def _saved(client: Client, training: VaeTraining, folder: Path) -> list[Path]:
    """Save the sheets if the training has made them, and return their paths."""
    made = training.name.partition("/")[2]
    sheets = {
        f"{made}-reconstructions.png": training.reconstruction_sheet.artifact,
        f"{made}-prior.png": training.prior_sheet.artifact,
    }
    if not all(sheets.values()):
        return []
    folder.mkdir(parents=True, exist_ok=True)
    return [client.download(artifact, folder / file) for file, artifact in sheets.items()]

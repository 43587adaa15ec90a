"""`defuse mlflow gate` and `defuse folder gate`: promote a version of a model registry if it passes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from defuse.cli import push
from defuse.cli.connection import connect
from defuse.cli.gate import refusals_as_wrong_usage
from defuse.cli.output import Json, stderr, write_facts, write_json
from defuse.cli.progress import job_bar
from defuse.cli.push import Mean, ModelLayout, Scale, Std
from defuse.cli.verdict_table import EXIT_CODES, evaluated_classes, write_evaluation
from defuse.model_registries.declaration import Declaration
from defuse.model_registries.gate import Gated, gate
from defuse.model_registries.registry import Registry
from defuse.model_registries.request import GateRequest

mlflow = typer.Typer(help="Gate the versions of a model in MLflow.", no_args_is_help=True)
folder = typer.Typer(help="Gate the versions of a model in a plain folder.", no_args_is_help=True)

Model = Annotated[str, typer.Option(help="The name of the model.")]
Version = Annotated[str, typer.Option(help="The candidate: the version that the alias is to point to.")]
Alias = Annotated[
    str,
    typer.Option(
        help="The alias of the version in use, which is the baseline. It moves on PASS. By default the "
        "model's tag defuse.alias."
    ),
]
Audit = Annotated[
    str, typer.Option(help="audits/ID of the baseline. By default the model's tag defuse.audit.")
]
Dataset = Annotated[
    str,
    typer.Option(
        help="datasets/ID, instead of --audit. By default the model's tag defuse.dataset, or else that of "
        "the baseline's last audit."
    ),
]
Vae = Annotated[
    str,
    typer.Option(
        help="vaes/ID, instead of --audit. By default the model's tag defuse.vae, or else that of the "
        "baseline's last audit."
    ),
]
Policy = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="YAML file. By default the model's tag defuse.policy, or else the service's policy.",
    ),
]
Layout = Annotated[
    ModelLayout | None,
    typer.Option(
        case_sensitive=False,
        help="How the model's input holds an image. By default, if you give none of the options below "
        "either, the model's tags decide, or else the classifier with the same bytes, or else it is as with "
        "push.",
    ),
]
OutputKind = Annotated[
    push.OutputKind | None,
    typer.Option(case_sensitive=False, help="What the model's output holds. By default as for --layout."),
]
Output = Annotated[
    str,
    typer.Option(
        help="Name of the output with the scores. By default as for --layout, or else the only one that can "
        "hold them."
    ),
]


@mlflow.callback()
def _mlflow() -> None:
    """Make `gate` a command of the group instead of the group itself."""


@folder.callback()
def _folder() -> None:
    """Make `gate` a command of the group instead of the group itself."""


@mlflow.command("gate")
def gate_mlflow(
    context: typer.Context,
    model: Model,
    version: Version,
    alias: Alias = "",
    audit: Audit = "",
    dataset: Dataset = "",
    vae: Vae = "",
    policy: Policy = None,
    tracking_uri: Annotated[
        str | None, typer.Option(help="Address of the MLflow server. By default MLFLOW_TRACKING_URI.")
    ] = None,
    layout: Layout = None,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    output_kind: OutputKind = None,
    output: Output = "",
    json: Json = False,
) -> int:
    """Evaluate a version against the one in use, and move the alias to it on PASS.

    The verdict and its evidence are written to the version. Exits with 0 if the version was promoted, 1 on
    FAIL and 2 on INCONCLUSIVE.
    """
    from defuse.model_registries.mlflow import MlflowRegistry

    declared = Declaration(layout, scale, tuple(mean or ()), tuple(std or ()), output_kind, output)
    request = GateRequest(model, version, alias, audit, dataset, vae, _text(policy), declared)
    return _gate(context, MlflowRegistry(tracking_uri), request, policy, json)


@folder.command("gate")
def gate_folder(
    context: typer.Context,
    model: Model,
    version: Version,
    place: Annotated[
        Path,
        typer.Option(
            "--folder", file_okay=False, help="Folder with MODEL/VERSION/model.onnx and MODEL/aliases/ALIAS."
        ),
    ],
    alias: Alias = "",
    audit: Audit = "",
    dataset: Dataset = "",
    vae: Vae = "",
    policy: Policy = None,
    layout: Layout = None,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    output_kind: OutputKind = None,
    output: Output = "",
    json: Json = False,
) -> int:
    """Evaluate a version against the one in use, and move the alias to it on PASS.

    The verdict and its evidence are written to the version. Exits with 0 if the version was promoted, 1 on
    FAIL and 2 on INCONCLUSIVE. The model's tags are in MODEL/tags.json.
    """
    from defuse.model_registries.folder import FolderRegistry

    declared = Declaration(layout, scale, tuple(mean or ()), tuple(std or ()), output_kind, output)
    request = GateRequest(model, version, alias, audit, dataset, vae, _text(policy), declared)
    return _gate(context, FolderRegistry(place), request, policy, json)


def _text(policy: Path | None) -> str | None:
    return None if policy is None else policy.read_text(encoding="utf-8")


def _gate(
    context: typer.Context, registry: Registry, request: GateRequest, policy: Path | None, json: bool
) -> int:
    with connect(context) as client:
        try:
            with refusals_as_wrong_usage(policy), job_bar() as update:
                gated = client.run_flow(gate(registry, request, on_update=update, timeout_s=client.timeout_s))
        except KeyboardInterrupt:
            stderr.print(
                "Nothing was promoted. The evaluation keeps running; the same command shows its verdict."
            )
            raise typer.Exit(130) from None
        if json:
            write_json(gated.evaluation)
        else:
            _write_text(gated, evaluated_classes(client, gated.evaluation))
    # Only PASS promotes: a verdict that this client does not know is not a PASS.
    return EXIT_CODES.get(gated.evaluation.verdict, 70)


def _write_text(gated: Gated, class_names: Sequence[str]) -> None:
    request = gated.request
    write_evaluation(gated.evaluation, class_names)
    stays = f"stays at version {gated.baseline_version}"
    is_now = "is at version" if gated.baseline_version == request.version else "moved to version"
    write_facts((request.alias, f"{is_now} {request.version}" if gated.promoted else stays))

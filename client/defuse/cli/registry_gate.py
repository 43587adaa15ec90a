"""`defuse mlflow gate` and `defuse folder gate`: promote a version of a model registry if it passes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from defuse.cli.gate import inputs_named
from defuse.cli.output import Json, errors, write_facts, write_json
from defuse.cli.progress import job_bar
from defuse.cli.push import Mean, ModelLayout, Outputs, Scale, Std
from defuse.cli.session import connect
from defuse.cli.verdict_table import EXIT_CODES, write_evaluation
from defuse.model_registries.declaration import Declaration
from defuse.model_registries.gate import Gated, gate
from defuse.model_registries.registry import Registry
from defuse.model_registries.request import GateRequest

mlflow = typer.Typer(help="Gate the versions of a model in MLflow.", no_args_is_help=True)
folder = typer.Typer(help="Gate the versions of a model in a plain folder.", no_args_is_help=True)

Model = Annotated[str, typer.Option(help="The registered model.")]
Version = Annotated[str, typer.Option(help="The version that wants the alias.")]
Alias = Annotated[
    str, typer.Option(help="Who bears it is the baseline; it moves on PASS. Default: the model's tag.")
]
Audit = Annotated[str, typer.Option(help="audits/ID of the baseline. Default: the model's tag defuse.audit.")]
Dataset = Annotated[str, typer.Option(help="datasets/ID, where no audit is named. Default: the model's tag.")]
Vae = Annotated[str, typer.Option(help="vaes/ID, where no audit is named. Default: the model's tag.")]
Policy = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="YAML. Default: the model's tag, else the service's."),
]
Layout = Annotated[
    ModelLayout | None,
    typer.Option(help="How models are fed; default: as their bytes were pushed before, else as push does."),
]
OutputKind = Annotated[Outputs | None, typer.Option(help="What the models' output is.")]
Output = Annotated[str, typer.Option(help="Which output holds the scores, where several could.")]


@mlflow.callback()
def _mlflow() -> None:
    """Makes `gate` a command of the group, and not the group itself."""


@folder.callback()
def _folder() -> None:
    """As above."""


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
        str | None, typer.Option(help="The MLflow server; default MLFLOW_TRACKING_URI.")
    ] = None,
    layout: Layout = None,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    output_kind: OutputKind = None,
    output: Output = "",
    json: Json = False,
) -> int:
    """Judge a version against the alias's, write verdict and evidence to it, move the alias on PASS alone.

    Exits 0 when it was promoted, 1 on FAIL, 2 on INCONCLUSIVE. The model's tags defuse.alias, defuse.dataset,
    defuse.vae, defuse.audit and defuse.policy stand for options that are left out.
    """
    from defuse.model_registries.mlflow import MlflowRegistry

    declared = _declaration(layout, scale, mean, std, output_kind, output)
    request = GateRequest(model, version, alias, audit, dataset, vae, _text(policy), declared)
    return _gate(context, MlflowRegistry(tracking_uri), request, policy, json)


@folder.command("gate")
def gate_folder(
    context: typer.Context,
    model: Model,
    version: Version,
    place: Annotated[
        Path,
        typer.Option("--folder", file_okay=False, help="Has MODEL/VERSION/model.onnx and MODEL/aliases/."),
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
    """Judge a version against the alias's, write verdict and evidence to it, move the alias on PASS alone.

    As `defuse mlflow gate`; the tags are those in MODEL/tags.json.
    """
    from defuse.model_registries.folder import FolderRegistry

    declared = _declaration(layout, scale, mean, std, output_kind, output)
    request = GateRequest(model, version, alias, audit, dataset, vae, _text(policy), declared)
    return _gate(context, FolderRegistry(place), request, policy, json)


def _declaration(
    layout: ModelLayout | None,
    scale: float | None,
    mean: list[float] | None,
    std: list[float] | None,
    output_kind: Outputs | None,
    output: str,
) -> Declaration:
    return Declaration(layout, scale, tuple(mean or ()), tuple(std or ()), output_kind, output)


def _text(policy: Path | None) -> str | None:
    return None if policy is None else policy.read_text(encoding="utf-8")


def _gate(
    context: typer.Context, registry: Registry, request: GateRequest, policy: Path | None, json: bool
) -> int:
    with connect(context) as client:
        try:
            with inputs_named(policy), job_bar() as update:
                gated = client.run_flow(gate(registry, request, on_update=update, timeout_s=client.timeout_s))
        except KeyboardInterrupt:
            errors.print("Nothing was promoted. An evaluation runs on: the same command takes its verdict.")
            raise typer.Exit(70) from None
    if json:
        write_json(gated.evaluation)
    else:
        _write(gated)
    # Only PASS promotes: a verdict that this client does not know is no PASS.
    return EXIT_CODES.get(gated.evaluation.verdict, 70)


def _write(gated: Gated) -> None:
    request = gated.request
    write_evaluation(gated.evaluation)
    stays = f"stays at version {gated.baseline_version}"
    is_now = "is at version" if gated.baseline_version == request.version else "moved to version"
    write_facts([(request.alias, f"{is_now} {request.version}" if gated.promoted else stays)])

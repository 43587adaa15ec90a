"""`defuse gate` decides whether a classifier may be promoted in place of another."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from defuse.cli.connection import connect, left_running
from defuse.cli.gate_files import GateFiles
from defuse.cli.output import Json, write
from defuse.cli.progress import job_bar
from defuse.cli.settings import takes_settings
from defuse.cli.verdict_table import EXIT_CODES, evaluated_classes, write_evaluation
from defuse.client import Client
from defuse.errors import ArgumentError, CallFailed, FailedPrecondition, InvalidArgument, Rejected
from defuse.messages import Evaluation, EvaluationConfig
from defuse.model_registries.declaration import Declaration, classifier_of
from defuse.model_registries.registry import OnnxFile

_PLACE = re.compile(r"line (\d+), column (\d+): ")


@takes_settings(EvaluationConfig)
def gate(
    context: typer.Context,
    baseline: Annotated[str, typer.Option(help="classifiers/ID of the classifier in use.")],
    candidate: Annotated[
        str,
        typer.Option(
            help="classifiers/ID, or an ONNX file, which is registered with the baseline's preprocessing."
        ),
    ],
    audit: Annotated[
        str,
        typer.Option(
            help="audits/ID of the baseline. By default an audit over --vae and --dataset is found or made."
        ),
    ] = "",
    vae: Annotated[
        str,
        typer.Option(help="vaes/ID, instead of --audit. By default the VAE of the baseline's last audit."),
    ] = "",
    dataset: Annotated[
        str,
        typer.Option(
            help="datasets/ID, instead of --audit. By default the dataset of the baseline's last audit."
        ),
    ] = "",
    labels: Annotated[
        Literal["latest", "frozen"],
        typer.Option(
            case_sensitive=False,
            help="The labels that the candidate is held to: the latest, or those that its correction used.",
        ),
    ] = "latest",
    policy: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="YAML file (docs/policy.md). By default the service's policy."
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Write JUnit XML to this file, with a test case for each check. By default none.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write a report to this file, .html or .md. By default none."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the signed evidence to this file. By default none."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the verdict.")] = True,
    name: Annotated[str, typer.Option(help="The evaluation's name in lists. By default empty.")] = "",
    json: Json = False,
    **settings: Any,
) -> int:
    """Decide by a policy whether a candidate may be promoted.

    Exits with 0 on PASS, 1 on FAIL and 2 on INCONCLUSIVE; with --no-wait it exits with 0. The same command
    again shows the same verdict, as long as no label and no other input has changed; a split of mixed bugs
    changes none. Files are written whatever the verdict is.
    """
    if (audit and (vae or dataset)) or bool(vae) != bool(dataset):
        raise ArgumentError(
            "expected --audit, or --vae and --dataset together, or none of the three: then the VAE and the "
            "dataset of the baseline's last audit are used"
        )
    files = GateFiles(junit, report, evidence)
    files.check(wait)
    file = _onnx_file(candidate)
    with connect(context) as client, refusals_as_wrong_usage(policy):
        evaluation = client.evaluate(
            baseline,
            _registered(client, file, baseline) if file else candidate,
            audit or None,
            vae=vae or None,
            dataset=dataset or None,
            policy=_text(policy) if policy else "",
            candidate_sha256=file.sha256 if file else "",
            labels=labels,
            display_name=name,
            wait=False,
            **settings,
        )
        if wait:
            evaluation = _ended(client, evaluation)
            if file and OnnxFile.of(file.path).sha256 != evaluation.candidate_sha256:
                raise ArgumentError(f"{file.path} changed while it was evaluated: gate it again")
        write(evaluation, json, lambda made: write_evaluation(made, evaluated_classes(client, made)))
        if wait:
            files.write(client, evaluation)
    # Only PASS promotes: a verdict that this client does not know is not a PASS.
    return EXIT_CODES.get(evaluation.verdict, 70) if wait else 0


@contextmanager
def refusals_as_wrong_usage(policy: Path | None) -> Generator[None]:
    """Raise `ArgumentError`, wrong usage, if the service can't evaluate the inputs."""
    try:
        yield
    except Rejected as rejected:
        raise ArgumentError(f"the candidate can't be evaluated: {rejected}") from rejected
    except (InvalidArgument, FailedPrecondition) as refused:
        raise ArgumentError(_with_places(refused, policy)) from refused


def _with_places(refused: CallFailed, policy: Path | None) -> str:
    """Return the refusal, with each fault of the policy at its place in the file."""
    faults = [one for one in refused.field_violations if one.field.startswith("policy:")]
    if not policy or not faults:
        return f"{refused.reason_name}: {refused}"
    places = [_PLACE.sub(r"\1:\2: ", fault.description) for fault in faults]
    return "\n".join([f"the policy {policy} is wrong", *(f"  {policy}:{place}" for place in places)])


def _onnx_file(candidate: str) -> OnnxFile | None:
    if candidate.startswith("classifiers/"):
        return None
    path = Path(candidate)
    if not path.is_file():
        raise ArgumentError(f"expected classifiers/ID or an ONNX file as --candidate, got {candidate!r}")
    return OnnxFile.of(path)


def _registered(client: Client, file: OnnxFile, baseline: str) -> str:
    """Return the name of the classifier with the file's bytes, registered like the baseline if it is new."""
    flow = classifier_of(
        file,
        Declaration.of(client.get_classifier(baseline)),
        display_name=file.path.name,
        timeout_s=client.timeout_s,
    )
    return client.run_flow(flow).name


def _text(policy: Path) -> str:
    try:
        return policy.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ArgumentError(f"expected {policy} in UTF-8, got another encoding: {error.reason}") from error


def _ended(client: Client, evaluation: Evaluation) -> Evaluation:
    again = "The same command again shows its verdict. "
    with left_running(evaluation.name, again), job_bar() as update:
        client.wait(evaluation, on_update=update)
    return client.get_evaluation(evaluation)

"""`defuse gate` says whether a classifier may be promoted in place of another."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from defuse.cli.gate_files import GateFiles
from defuse.cli.output import Json, errors, write_json
from defuse.cli.progress import job_bar, state_of
from defuse.cli.session import connect
from defuse.cli.verdict_table import EXIT_CODES, write_evaluation
from defuse.client import Client
from defuse.errors import ArgumentError, CallFailed, FailedPrecondition, InvalidArgument, Job, Rejected
from defuse.messages import Evaluation
from defuse.model_registries.declaration import Declaration, classifier_of
from defuse.model_registries.registry import OnnxFile

_PLACE = re.compile(r"line (\d+), column (\d+): ")


def gate(
    context: typer.Context,
    baseline: Annotated[str, typer.Option(help="classifiers/ID: the one that is in use.")],
    candidate: Annotated[
        str,
        typer.Option(
            help="classifiers/ID, or an ONNX file, which is registered with the baseline's preprocessing."
        ),
    ],
    audit: Annotated[str, typer.Option(help="audits/ID of the baseline.")] = "",
    vae: Annotated[
        str,
        typer.Option(
            help="vaes/ID, where no audit is named: one is found or made. Default: the last audit's."
        ),
    ] = "",
    dataset: Annotated[
        str, typer.Option(help="datasets/ID, where no audit is named. Default: the last audit's.")
    ] = "",
    policy: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="YAML (docs/policy.md)."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write JUnit XML there, a case for each check.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the report there: .html or .md.")
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the signed evidence there.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the verdict.")] = True,
    name: Annotated[str, typer.Option(help="What to call it in lists.")] = "",
    seed: int = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda:N; default: the server's.")] = "",
    json: Json = False,
) -> int:
    """Judge a candidate by a policy. Exits 0 on PASS, 1 on FAIL, 2 on INCONCLUSIVE; with --no-wait 0.

    The same command again takes the verdict that there is, as long as nothing that was judged has changed.
    Files are written whatever the verdict is.
    """
    if (audit and (vae or dataset)) or bool(vae) != bool(dataset):
        raise ArgumentError(
            "expected --audit, or both of --vae and --dataset, over which one is found or made, or none of "
            "them: then it is over what the baseline was audited last"
        )
    files = GateFiles(junit, report, evidence)
    files.check(wait)
    file = _onnx_file(candidate)
    with connect(context) as client, inputs_named(policy):
        evaluation = client.evaluate(
            baseline,
            _registered(client, file, baseline) if file else candidate,
            audit or None,
            vae=vae or None,
            dataset=dataset or None,
            policy=_text(policy) if policy else "",
            candidate_sha256=file.sha256 if file else "",
            seed=seed,
            device=device,
            display_name=name,
            wait=False,
        )
        if wait:
            evaluation = _judged(client, evaluation)
            if file and OnnxFile.of(file.path).sha256 != evaluation.candidate_sha256:
                raise ArgumentError(f"{file.path} changed while it was judged: gate it again")
        if json:
            write_json(evaluation)
        else:
            write_evaluation(evaluation)
        if wait:
            files.write(client, evaluation)
    # Only PASS promotes: a verdict that this client does not know is no PASS.
    return EXIT_CODES.get(evaluation.verdict, 70) if wait else 0


@contextmanager
def inputs_named(policy: Path | None) -> Generator[None]:
    """Raise ArgumentError, wrong usage, where the service can't judge what it was given."""
    try:
        yield
    except Rejected as rejected:
        raise ArgumentError(f"the candidate can't be judged: {rejected}") from rejected
    except (InvalidArgument, FailedPrecondition) as refused:
        raise ArgumentError(_named(refused, policy)) from refused


def _named(refused: CallFailed, policy: Path | None) -> str:
    """The refusal, each fault of the policy at its place in the file."""
    faults = [one for one in refused.field_violations if one.field.startswith("policy:")]
    if not policy or not faults:
        return f"{refused.reason_name}: {refused}"
    places = [_PLACE.sub(r"\1:\2: ", fault.description) for fault in faults]
    return "\n".join([f"{policy} is no policy", *(f"  {policy}:{place}" for place in places)])


def _onnx_file(candidate: str) -> OnnxFile | None:
    if candidate.startswith("classifiers/"):
        return None
    path = Path(candidate)
    if not path.is_file():
        raise ArgumentError(f"expected classifiers/ID or an ONNX file as the candidate, got {candidate!r}")
    return OnnxFile.of(path)


def _registered(client: Client, file: OnnxFile, baseline: str) -> str:
    """The classifier with the file's bytes, registered like the baseline where there is none."""
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
        raise ArgumentError(f"expected {policy} to be UTF-8, got another encoding: {error.reason}") from error


def _judged(client: Client, evaluation: Evaluation) -> Evaluation:
    try:
        with job_bar() as update:
            client.wait(evaluation, on_update=_both(update, _stages()))
    except KeyboardInterrupt:
        errors.print(
            f"{evaluation.name} runs on. The same command again takes its verdict. "
            f"Watch it: defuse watch {evaluation.name}   Stop it: defuse cancel {evaluation.name}"
        )
        raise typer.Exit(70) from None
    return client.get_evaluation(evaluation)


def _both(one: Callable[[Job], None], other: Callable[[Job], None]) -> Callable[[Job], None]:
    def update(job: Job) -> None:
        one(job)
        other(job)

    return update


def _stages() -> Callable[[Job], None]:
    """Says each new stage once, where there is no bar: a pipeline's log must show that it goes on."""
    said: set[str] = set()

    def update(job: Job) -> None:
        line = f"{job.name} {state_of(job)} {job.progress.stage}".rstrip()
        if not sys.stderr.isatty() and line not in said:
            said.add(line)
            errors.print(line, markup=False)

    return update

"""The gate: evaluate a version against the one that an alias points to, and move the alias only on PASS.

The flow is written once, for the command (`Client.run_flow`) and for the webhook's process
(`AsyncClient.run_flow_async`). The model registry's methods run as blocking steps.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from defuse._calls.flows import blocking
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow
from defuse._enum_name import enum_name
from defuse._operations.evaluations import evaluate
from defuse._operations.jobs import OnUpdate
from defuse._operations.resources import AUDITS, CLASSIFIERS, EVALUATIONS
from defuse._operations.transfer import download
from defuse.errors import NotFound, Rejected
from defuse.messages import Classifier, ErrorReason, Evaluation, Verdict
from defuse.model_registries.declaration import classifier_of
from defuse.model_registries.errors import RegistryError, VersionChanged
from defuse.model_registries.registry import OnnxFile, Registry
from defuse.model_registries.request import GateRequest

EVIDENCE_FILES = {
    "verdict": "verdict.json",
    "envelope": "evidence.dsse.json",
    "junit": "junit.xml",
    "markdown": "report.md",
    "html": "report.html",
}
"""From each field of `Evidence` to the name of its file in the model registry."""


@dataclass(frozen=True)
class Gated:
    """The result of a gate."""

    request: GateRequest
    """The request, completed from the tags."""
    baseline_version: str
    """The version that the alias pointed to; `request.version` if an earlier gate has promoted it already."""
    evaluation: Evaluation
    promoted: bool


@dataclass(frozen=True)
class _Contest:
    """The two versions with the bytes that they had when they were fetched."""

    request: GateRequest
    baseline_version: str
    baseline: OnnxFile
    candidate: OnnxFile


def gate(
    registry: Registry,
    request: GateRequest,
    *,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[Gated]:
    """Evaluate a version, write the verdict and its evidence to it, and move the alias on PASS.

    The same call again uses the evaluation that exists. Raises `RegistryError` and the errors of the
    service's calls. Then no alias was moved, and nothing was written unless the verdict was known.
    """
    tags = yield from blocking(lambda: registry.tags(request.model))
    request = request.completed(tags)
    baseline_version = yield from blocking(lambda: registry.aliased_version(request.model, request.alias))
    if baseline_version == request.version:
        return (yield from _promoted_before(registry, request, timeout_s))
    with tempfile.TemporaryDirectory(prefix="defuse-gate-") as folder:
        contest = yield from blocking(lambda: _fetched(registry, request, baseline_version, Path(folder)))
        evaluation = yield from _evaluated(contest, on_update, timeout_s)
        files = yield from _evidence(evaluation, Path(folder), timeout_s)
        promoted = yield from blocking(lambda: _conclude(registry, contest, evaluation, files))
    return Gated(request, baseline_version, evaluation, promoted)


def _promoted_before(registry: Registry, request: GateRequest, timeout_s: float | None) -> Flow[Gated]:
    """Return the PASS that promoted this version before: a pipeline may run again after its PASS.

    Raises `RegistryError` if the alias points to the version for another reason.
    """
    tags = yield from blocking(lambda: registry.tags(request.model, request.version))
    refusal = RegistryError(
        f"expected {request.alias} of {request.model} at the version in use, but it already points to the "
        f"candidate, version {request.version}, without a PASS of its bytes. Point it to the version before"
    )
    if tags.get("defuse.verdict") != "PASS":
        raise refusal
    try:
        evaluation = yield from EVALUATIONS.get(tags.get("defuse.evaluation", ""), timeout_s=timeout_s)
    except NotFound:
        raise refusal from None
    with tempfile.TemporaryDirectory(prefix="defuse-gate-") as folder:
        file = yield from blocking(lambda: registry.fetch(request.model, request.version, Path(folder)))
    if (evaluation.verdict, evaluation.candidate_sha256) != (Verdict.VERDICT_PASS, file.sha256):
        raise refusal
    return Gated(request, request.version, evaluation, promoted=True)


def _fetched(registry: Registry, request: GateRequest, baseline_version: str, folder: Path) -> _Contest:
    def file(version: str, role: str) -> OnnxFile:
        place = folder / role
        place.mkdir()
        return registry.fetch(request.model, version, place)

    baseline = file(baseline_version, "baseline")
    return _Contest(request, baseline_version, baseline, file(request.version, "candidate"))


def _evaluated(contest: _Contest, on_update: OnUpdate | None, timeout_s: float | None) -> Flow[Evaluation]:
    request = contest.request
    try:
        baseline = yield from _baseline(contest, timeout_s)
        candidate = yield from classifier_of(
            contest.candidate,
            request.declared,
            like=baseline,
            display_name=f"{request.model} version {request.version}",
            timeout_s=timeout_s,
        )
    except Rejected as rejected:
        raise _explained(rejected) from rejected
    evaluation = yield from evaluate(
        baseline,
        candidate,
        request.audit or None,
        vae=request.vae or None,
        dataset=request.dataset or None,
        policy=request.policy or "",
        candidate_sha256=contest.candidate.sha256,
        display_name=f"{request.model} version {request.version} for {request.alias}"[:200],
        on_update=on_update,
        timeout_s=timeout_s,
    )
    evaluated = (evaluation.baseline_sha256, evaluation.candidate_sha256)
    if evaluated != (contest.baseline.sha256, contest.candidate.sha256):
        raise VersionChanged(
            f"expected {evaluation.name} to be about the model registry's bytes, but it is about others. "
            "Nothing was promoted; gate the version again"
        )
    return evaluation


def _baseline(contest: _Contest, timeout_s: float | None) -> Flow[Classifier]:
    """Return the baseline's classifier: the named audit's, which must have the baseline's bytes, or any."""
    request, named = contest.request, f"{contest.request.model} version {contest.baseline_version}"
    if not request.audit:
        return (
            yield from classifier_of(
                contest.baseline, request.declared, display_name=named, timeout_s=timeout_s
            )
        )
    audit = yield from AUDITS.get(request.audit, timeout_s=timeout_s)
    classifier = yield from CLASSIFIERS.get(audit.classifier, timeout_s=timeout_s)
    if classifier.artifact != f"artifacts/{contest.baseline.sha256}":
        raise RegistryError(
            f"expected an audit of {named}, to which {request.alias} points, but {request.audit} is of "
            f"{classifier.name}, which has other bytes. Name an audit of that version, or --dataset and --vae"
        )
    return classifier


def _explained(rejected: Rejected) -> Exception:
    if rejected.failure.reason != ErrorReason.ERROR_REASON_MODEL_EXTERNAL_DATA:
        return rejected
    return RegistryError(
        f"{rejected.failure.message}. Log the model with its weights inside: "
        "mlflow.onnx.log_model(..., save_as_external_data=False)"
    )


def _evidence(evaluation: Evaluation, folder: Path, timeout_s: float | None) -> Flow[list[Path]]:
    """Download the evidence that there is: a service without a key signs nothing."""
    files: list[Path] = []
    for field, name in EVIDENCE_FILES.items():
        if artifact := getattr(evaluation.evidence, field):
            files.append((yield from download(artifact, folder / name, timeout_s=timeout_s)))
    return files


def _conclude(registry: Registry, contest: _Contest, evaluation: Evaluation, files: list[Path]) -> bool:
    """Write the verdict to the version, then move the alias on PASS. Return whether it was moved.

    The evidence is written before the tags: a visible verdict has its evidence. The bytes are compared before
    anything is written, and once more right before the alias is moved.
    """
    request = contest.request
    _check_unchanged(registry, contest)
    registry.attach(request.model, request.version, files, f"defuse/{evaluation.name.rpartition('/')[2]}")
    registry.tag(
        request.model,
        request.version,
        {
            "defuse.evaluation": evaluation.name,
            "defuse.candidate_sha256": evaluation.candidate_sha256,
            "defuse.policy_sha256": evaluation.policy_sha256,
            "defuse.error": None,
            "defuse.verdict": enum_name(Verdict, evaluation.verdict),
        },
    )
    if evaluation.verdict != Verdict.VERDICT_PASS:
        return False
    _check_unchanged(registry, contest)
    registry.move_alias(request.model, request.alias, request.version, expected=contest.baseline_version)
    return True


def _check_unchanged(registry: Registry, contest: _Contest) -> None:
    evaluated = {
        contest.baseline_version: contest.baseline.sha256,
        contest.request.version: contest.candidate.sha256,
    }
    for version, sha256 in evaluated.items():
        with tempfile.TemporaryDirectory(prefix="defuse-gate-") as folder:
            now = registry.fetch(contest.request.model, version, Path(folder))
        if now.sha256 != sha256:
            raise VersionChanged(
                f"version {version} of {contest.request.model} changed while it was evaluated: expected the "
                f"SHA-256 {sha256}, got {now.sha256}. Nothing was promoted; gate the version again"
            )

"""The gate: judge a version against the one that bears an alias, and move the alias on PASS alone.

Written once as a flow, for the command (`Client.run_flow`) and for the webhook's process
(`AsyncClient.run_flow_async`); the registry's methods run as blocking steps.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from defuse._audits import get_audit
from defuse._corrections import evaluate, get_evaluation
from defuse._flow import DEFAULT_TIMEOUT_S, Flow, blocking
from defuse._jobs import OnUpdate
from defuse._registry import get_classifier
from defuse._transfer import download
from defuse.errors import NotFound, Rejected
from defuse.model_registries.declaration import classifier_of
from defuse.model_registries.errors import RegistryError, VersionChanged
from defuse.model_registries.registry import OnnxFile, Registry
from defuse.model_registries.request import GateRequest
from defuse.v1.error_reason_pb2 import ErrorReason
from defuse.v1.promotion_service_pb2 import Evaluation, Verdict
from defuse.v1.registry_service_pb2 import Classifier

EVIDENCE_FILES = {
    "verdict": "verdict.json",
    "envelope": "evidence.dsse.json",
    "junit": "junit.xml",
    "markdown": "report.md",
    "html": "report.html",
}
"""Field of `Evidence` -> the name that its artifact gets in the registry."""


@dataclass(frozen=True)
class Gated:
    """What came of it."""

    request: GateRequest
    """With what the tags filled in."""
    baseline_version: str
    """The version that bore the alias; `request.version` where an earlier gate has promoted it already."""
    evaluation: Evaluation
    promoted: bool


@dataclass(frozen=True)
class _Contest:
    """The two versions, as their bytes were when they were fetched."""

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
    """Judge a version, write the verdict and its evidence to it, and move the alias if it is PASS.

    The same call again takes the evaluation that there is. Raises RegistryError and what the calls of the
    service raise; then no alias was moved, and nothing was written unless the verdict was there.
    """
    tags = yield from blocking(lambda: registry.tags(request.model))
    request = request.completed(tags)
    bearer = yield from blocking(lambda: registry.bearer(request.model, request.alias))
    if bearer == request.version:
        return (yield from _promoted_before(registry, request, timeout_s))
    with tempfile.TemporaryDirectory(prefix="defuse-gate-") as folder:
        contest = yield from blocking(lambda: _fetched(registry, request, bearer, Path(folder)))
        evaluation = yield from _judged(contest, on_update, timeout_s)
        files = yield from _evidence(evaluation, Path(folder), timeout_s)
        promoted = yield from blocking(lambda: _conclude(registry, contest, evaluation, files))
    return Gated(request, bearer, evaluation, promoted)


def _promoted_before(registry: Registry, request: GateRequest, timeout_s: float | None) -> Flow[Gated]:
    """A pipeline that runs again after its PASS gets it again; what else bears the alias was not judged."""
    tags = yield from blocking(lambda: registry.tags(request.model, request.version))
    refusal = RegistryError(
        f"version {request.version} of {request.model} bears {request.alias} already, and no PASS of these "
        "bytes stands behind it: there is nothing to compare it with. Give the alias to the one before"
    )
    if tags.get("defuse.verdict") != "PASS":
        raise refusal
    try:
        evaluation = yield from get_evaluation(tags.get("defuse.evaluation", ""), timeout_s=timeout_s)
    except NotFound:
        raise refusal from None
    with tempfile.TemporaryDirectory(prefix="defuse-gate-") as folder:
        file = yield from blocking(lambda: registry.fetch(request.model, request.version, Path(folder)))
    if (evaluation.verdict, evaluation.candidate_sha256) != (Verdict.VERDICT_PASS, file.sha256):
        raise refusal
    return Gated(request, request.version, evaluation, promoted=True)


def _fetched(registry: Registry, request: GateRequest, bearer: str, folder: Path) -> _Contest:
    def file(version: str, role: str) -> OnnxFile:
        place = folder / role
        place.mkdir()
        return registry.fetch(request.model, version, place)

    return _Contest(request, bearer, file(bearer, "baseline"), file(request.version, "candidate"))


def _judged(contest: _Contest, on_update: OnUpdate | None, timeout_s: float | None) -> Flow[Evaluation]:
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
    judged = (evaluation.baseline_sha256, evaluation.candidate_sha256)
    if judged != (contest.baseline.sha256, contest.candidate.sha256):
        raise VersionChanged(
            f"{evaluation.name} judged other bytes than the registry's: nothing was promoted. Gate it again"
        )
    return evaluation


def _baseline(contest: _Contest, timeout_s: float | None) -> Flow[Classifier]:
    """The classifier of the audit, where one is named: it must have the bytes of the alias's version."""
    request, named = contest.request, f"{contest.request.model} version {contest.baseline_version}"
    if not request.audit:
        return (
            yield from classifier_of(
                contest.baseline, request.declared, display_name=named, timeout_s=timeout_s
            )
        )
    audit = yield from get_audit(request.audit, timeout_s=timeout_s)
    classifier = yield from get_classifier(audit.classifier, timeout_s=timeout_s)
    if classifier.artifact != f"artifacts/{contest.baseline.sha256}":
        raise RegistryError(
            f"{request.audit} is of {classifier.name}, whose bytes are not those of {named}, which bears "
            f"{request.alias}. Name an audit of that version, or --dataset and --vae to have one made"
        )
    return classifier


def _explained(rejected: Rejected) -> Exception:
    if rejected.failure.reason != ErrorReason.ERROR_REASON_MODEL_EXTERNAL_DATA:
        return rejected
    return RegistryError(
        f"{rejected.failure.message}. Log it with its weights inside: "
        "mlflow.onnx.log_model(..., save_as_external_data=False)"
    )


def _evidence(evaluation: Evaluation, folder: Path, timeout_s: float | None) -> Flow[list[Path]]:
    """Download what there is of it: a service without a key signs nothing."""
    files: list[Path] = []
    for field, name in EVIDENCE_FILES.items():
        if artifact := getattr(evaluation.evidence, field):
            files.append((yield from download(artifact, folder / name, timeout_s=timeout_s)))
    return files


def _conclude(registry: Registry, contest: _Contest, evaluation: Evaluation, files: list[Path]) -> bool:
    """Write it down, then move the alias; say whether it was moved.

    Evidence comes before the tags, so that who sees a verdict finds it. The bytes are looked at before
    anything is written, and once more, with the alias, right before the move.
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
            "defuse.verdict": Verdict.Name(evaluation.verdict).removeprefix("VERDICT_"),
        },
    )
    if evaluation.verdict != Verdict.VERDICT_PASS:
        return False
    _check_unchanged(registry, contest)
    registry.move_alias(request.model, request.alias, request.version, expected=contest.baseline_version)
    return True


def _check_unchanged(registry: Registry, contest: _Contest) -> None:
    judged = {
        contest.baseline_version: contest.baseline.sha256,
        contest.request.version: contest.candidate.sha256,
    }
    for version, sha256 in judged.items():
        with tempfile.TemporaryDirectory(prefix="defuse-gate-") as folder:
            now = registry.fetch(contest.request.model, version, Path(folder))
        if now.sha256 != sha256:
            raise VersionChanged(
                f"version {version} of {contest.request.model} changed while it was judged: judged were the "
                f"bytes of sha256 {sha256}, now they are {now.sha256}. Nothing was promoted; gate it again"
            )

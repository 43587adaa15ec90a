"""Corrections, and evaluations of what comes out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack, cast

from defuse._flow import DEFAULT_TIMEOUT_S, Flow, StreamFlow, paged, unary
from defuse._jobs import OnUpdate, done
from defuse._requests import Named, enum_value, job_state, name_of, new_request_id
from defuse.v1.correction_service_pb2 import (
    Correction,
    CorrectionConfig,
    CorrectionPreset,
    CreateCorrectionRequest,
    GetCorrectionRequest,
    ListCorrectionsRequest,
    ListCorrectionsResponse,
)
from defuse.v1.models_pb2 import JobState
from defuse.v1.promotion_service_pb2 import (
    CreateEvaluationRequest,
    Evaluation,
    EvaluationConfig,
    GetEvaluationRequest,
    ListEvaluationsRequest,
    ListEvaluationsResponse,
)


class CorrectionSettings(TypedDict, total=False):
    """The fields of CorrectionConfig; what is left out gets the preset's default (`default` or `paper`)."""

    preset: CorrectionPreset | str
    seed: int
    device: str
    lambdas: Sequence[float]
    learning_rate: float
    epochs: int
    samples_per_region: int


def correct(
    audit: Named,
    *,
    display_name: str = "",
    wait: bool = True,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
    **config: Unpack[CorrectionSettings],
) -> Flow[Correction]:
    """Fine-tune the audit's classifier on its labeled regions; the result names `corrected_classifier`.

    With `wait`, returns the correction SUCCEEDED or raises as `wait` does; else returns it QUEUED. Raises
    NotFound, FailedPrecondition (no region has a label other than the prediction; the model has no
    gradients).
    """
    request = CreateCorrectionRequest(
        request_id=new_request_id(),
        display_name=display_name,
        audit=name_of(audit),
        config=_correction_config(config),
    )
    correction = yield from unary("CorrectionService/CreateCorrection", request, Correction, timeout_s)
    return (yield from done(correction, on_update=on_update, timeout_s=timeout_s)) if wait else correction


def _correction_config(settings: CorrectionSettings) -> CorrectionConfig:
    fields = {name: value for name, value in settings.items() if name != "preset"}
    preset = enum_value(CorrectionPreset, "CORRECTION_PRESET_", settings.get("preset"))
    return CorrectionConfig(preset=preset, **cast(Any, fields))


def get_correction(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Correction]:
    """Return a correction as it stands. Raises NotFound."""
    request = GetCorrectionRequest(name=name_of(name))
    return unary("CorrectionService/GetCorrection", request, Correction, timeout_s)


def list_corrections(
    *, state: JobState | str | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[Correction]:
    """Hand out all corrections, or those in a state (`running`, ...), newest first."""
    wanted = job_state(state)
    return paged(
        "CorrectionService/ListCorrections",
        lambda token: ListCorrectionsRequest(page_token=token, state=wanted),
        ListCorrectionsResponse,
        lambda page: page.corrections,
        timeout_s,
    )


def evaluate(
    baseline: Named,
    candidate: Named,
    audit: Named | None = None,
    *,
    vae: Named | None = None,
    dataset: Named | None = None,
    policy: str = "",
    candidate_sha256: str = "",
    seed: int = 0,
    device: str = "",
    display_name: str = "",
    wait: bool = True,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[Evaluation]:
    """Ask whether `candidate` may be promoted in place of `baseline`.

    Give an `audit` of the baseline, or a `vae` and a `dataset`: then its newest audit over them is taken that
    the policy still allows, or one is made. With none of them it is over what the baseline was audited last.
    `policy` is YAML (docs/policy.md), empty for the default. Where
    the candidate's bytes are not those of `candidate_sha256`, nothing is judged.

    With `wait`, returns the evaluation SUCCEEDED, whatever its `verdict`, or raises as `wait` does; else
    returns it as it stands: what was judged before by the same inputs is the answer. Raises InvalidArgument
    (`field_violations` has the lines of a wrong policy), NotFound, FailedPrecondition.
    """
    request = CreateEvaluationRequest(
        request_id=new_request_id(),
        display_name=display_name,
        baseline=name_of(baseline),
        candidate=name_of(candidate),
        audit=_name_or_none(audit),
        vae=_name_or_none(vae),
        dataset=_name_or_none(dataset),
        policy=policy,
        candidate_sha256=candidate_sha256,
        config=EvaluationConfig(seed=seed, device=device),
    )
    evaluation = yield from unary("PromotionService/CreateEvaluation", request, Evaluation, timeout_s)
    return (yield from done(evaluation, on_update=on_update, timeout_s=timeout_s)) if wait else evaluation


def _name_or_none(named: Named | None) -> str:
    return "" if named is None else name_of(named)


def get_evaluation(name: Named, *, timeout_s: float | None = DEFAULT_TIMEOUT_S) -> Flow[Evaluation]:
    """Return an evaluation as it stands. Raises NotFound."""
    request = GetEvaluationRequest(name=name_of(name))
    return unary("PromotionService/GetEvaluation", request, Evaluation, timeout_s)


def list_evaluations(
    *, state: JobState | str | None = None, timeout_s: float | None = DEFAULT_TIMEOUT_S
) -> StreamFlow[Evaluation]:
    """Hand out all evaluations, or those in a state (`succeeded`, ...), newest first."""
    wanted = job_state(state)
    return paged(
        "PromotionService/ListEvaluations",
        lambda token: ListEvaluationsRequest(page_token=token, state=wanted),
        ListEvaluationsResponse,
        lambda page: page.evaluations,
        timeout_s,
    )

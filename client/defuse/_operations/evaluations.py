"""Starting evaluations, which say whether a candidate may be promoted."""

from defuse._calls.request_fields import Named, enum_value, name_of
from defuse._calls.steps import DEFAULT_TIMEOUT_S, Flow
from defuse._operations.jobs import OnUpdate, start_job
from defuse.v1.promotion_service_pb2 import (
    CreateEvaluationRequest,
    Evaluation,
    EvaluationConfig,
    LabelChoice,
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
    labels: LabelChoice | str | None = None,
    seed: int = 0,
    device: str = "",
    display_name: str = "",
    wait: bool = True,
    on_update: OnUpdate | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
) -> Flow[Evaluation]:
    """Ask whether `candidate` may be promoted in place of `baseline`.

    Name an `audit` of the baseline, or a `vae` and a `dataset`. With a VAE and a dataset, the newest audit of
    the baseline over them that the policy still allows is used, or a new one is made. If you name none of the
    three, the VAE and the dataset of the baseline's last audit are used.

    `policy` is YAML (docs/policy.md); if it is empty, the service's default applies. If `candidate_sha256` is
    given and the candidate has other bytes, the call fails with `FailedPrecondition`.

    `labels` is `latest`, the default: the audit's labels as they are now; or `frozen`: those that the
    candidate's correction used, whatever people answered since.

    With `wait`, returns the evaluation once it has SUCCEEDED, whatever its `verdict`, or raises as `wait`
    does. Without it, returns the evaluation as it stands. The same inputs get the same evaluation again.
    Raises `NotFound`, `FailedPrecondition`, or `InvalidArgument`, whose `field_violations` name the lines of
    a wrong policy.
    """
    request = CreateEvaluationRequest(
        display_name=display_name,
        baseline=name_of(baseline),
        candidate=name_of(candidate),
        audit=name_of(audit),
        vae=name_of(vae),
        dataset=name_of(dataset),
        policy=policy,
        candidate_sha256=candidate_sha256,
        labels=enum_value(LabelChoice, labels),
        config=EvaluationConfig(seed=seed, device=device),
    )
    return (yield from start_job(request, Evaluation, wait, on_update, timeout_s))

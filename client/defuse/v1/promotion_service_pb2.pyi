from defuse.v1 import models_pb2 as _models_pb2
from defuse.v1 import setting_pb2 as _setting_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_PASS: _ClassVar[Verdict]
    VERDICT_FAIL: _ClassVar[Verdict]
    VERDICT_INCONCLUSIVE: _ClassVar[Verdict]

class LabelChoice(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_CHOICE_UNSPECIFIED: _ClassVar[LabelChoice]
    LABEL_CHOICE_LATEST: _ClassVar[LabelChoice]
    LABEL_CHOICE_FROZEN: _ClassVar[LabelChoice]
VERDICT_UNSPECIFIED: Verdict
VERDICT_PASS: Verdict
VERDICT_FAIL: Verdict
VERDICT_INCONCLUSIVE: Verdict
LABEL_CHOICE_UNSPECIFIED: LabelChoice
LABEL_CHOICE_LATEST: LabelChoice
LABEL_CHOICE_FROZEN: LabelChoice

class Check(_message.Message):
    __slots__ = ("check", "subject", "verdict", "value", "bound", "explanation", "interval", "at_least", "remedy")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    check: str
    subject: str
    verdict: Verdict
    value: float
    bound: float
    explanation: str
    interval: _models_pb2.Interval
    at_least: bool
    remedy: str
    def __init__(self, check: _Optional[str] = ..., subject: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., value: _Optional[float] = ..., bound: _Optional[float] = ..., explanation: _Optional[str] = ..., interval: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., at_least: bool = ..., remedy: _Optional[str] = ...) -> None: ...

class ClassAccuracy(_message.Message):
    __slots__ = ("label", "size", "accuracy_before", "accuracy_after", "lost_count", "gained_count")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_AFTER_FIELD_NUMBER: _ClassVar[int]
    LOST_COUNT_FIELD_NUMBER: _ClassVar[int]
    GAINED_COUNT_FIELD_NUMBER: _ClassVar[int]
    label: int
    size: int
    accuracy_before: float
    accuracy_after: float
    lost_count: int
    gained_count: int
    def __init__(self, label: _Optional[int] = ..., size: _Optional[int] = ..., accuracy_before: _Optional[float] = ..., accuracy_after: _Optional[float] = ..., lost_count: _Optional[int] = ..., gained_count: _Optional[int] = ...) -> None: ...

class RegionAccuracy(_message.Message):
    __slots__ = ("region", "label", "predicted_class", "confirmed", "accuracy_before", "accuracy_after", "samples")
    REGION_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_CLASS_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_AFTER_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    region: str
    label: int
    predicted_class: int
    confirmed: bool
    accuracy_before: float
    accuracy_after: float
    samples: int
    def __init__(self, region: _Optional[str] = ..., label: _Optional[int] = ..., predicted_class: _Optional[int] = ..., confirmed: bool = ..., accuracy_before: _Optional[float] = ..., accuracy_after: _Optional[float] = ..., samples: _Optional[int] = ...) -> None: ...

class SecondSearch(_message.Message):
    __slots__ = ("seed_count", "candidates_before", "candidates_after", "misclassifications_before", "misclassifications_after", "seed_candidates_before", "seed_candidates_after", "seed_misclassifications_before", "seed_misclassifications_after")
    SEED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_AFTER_FIELD_NUMBER: _ClassVar[int]
    MISCLASSIFICATIONS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    MISCLASSIFICATIONS_AFTER_FIELD_NUMBER: _ClassVar[int]
    SEED_CANDIDATES_BEFORE_FIELD_NUMBER: _ClassVar[int]
    SEED_CANDIDATES_AFTER_FIELD_NUMBER: _ClassVar[int]
    SEED_MISCLASSIFICATIONS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    SEED_MISCLASSIFICATIONS_AFTER_FIELD_NUMBER: _ClassVar[int]
    seed_count: int
    candidates_before: int
    candidates_after: int
    misclassifications_before: int
    misclassifications_after: int
    seed_candidates_before: _containers.RepeatedScalarFieldContainer[int]
    seed_candidates_after: _containers.RepeatedScalarFieldContainer[int]
    seed_misclassifications_before: _containers.RepeatedScalarFieldContainer[int]
    seed_misclassifications_after: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, seed_count: _Optional[int] = ..., candidates_before: _Optional[int] = ..., candidates_after: _Optional[int] = ..., misclassifications_before: _Optional[int] = ..., misclassifications_after: _Optional[int] = ..., seed_candidates_before: _Optional[_Iterable[int]] = ..., seed_candidates_after: _Optional[_Iterable[int]] = ..., seed_misclassifications_before: _Optional[_Iterable[int]] = ..., seed_misclassifications_after: _Optional[_Iterable[int]] = ...) -> None: ...

class LabelingFigures(_message.Message):
    __slots__ = ("region_count", "unlabeled_count", "unlabeled_harm_share", "unlabeled", "alpha", "overlap_count", "bug_count", "contradicting", "splitting_count", "splitting", "labeled_region_count", "proposal_count")
    REGION_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNLABELED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNLABELED_HARM_SHARE_FIELD_NUMBER: _ClassVar[int]
    UNLABELED_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_COUNT_FIELD_NUMBER: _ClassVar[int]
    BUG_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONTRADICTING_FIELD_NUMBER: _ClassVar[int]
    SPLITTING_COUNT_FIELD_NUMBER: _ClassVar[int]
    SPLITTING_FIELD_NUMBER: _ClassVar[int]
    LABELED_REGION_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    region_count: int
    unlabeled_count: int
    unlabeled_harm_share: float
    unlabeled: _containers.RepeatedScalarFieldContainer[str]
    alpha: float
    overlap_count: int
    bug_count: int
    contradicting: _containers.RepeatedScalarFieldContainer[str]
    splitting_count: int
    splitting: _containers.RepeatedScalarFieldContainer[str]
    labeled_region_count: int
    proposal_count: int
    def __init__(self, region_count: _Optional[int] = ..., unlabeled_count: _Optional[int] = ..., unlabeled_harm_share: _Optional[float] = ..., unlabeled: _Optional[_Iterable[str]] = ..., alpha: _Optional[float] = ..., overlap_count: _Optional[int] = ..., bug_count: _Optional[int] = ..., contradicting: _Optional[_Iterable[str]] = ..., splitting_count: _Optional[int] = ..., splitting: _Optional[_Iterable[str]] = ..., labeled_region_count: _Optional[int] = ..., proposal_count: _Optional[int] = ...) -> None: ...

class Evidence(_message.Message):
    __slots__ = ("verdict", "envelope", "junit", "markdown", "html")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    JUNIT_FIELD_NUMBER: _ClassVar[int]
    MARKDOWN_FIELD_NUMBER: _ClassVar[int]
    HTML_FIELD_NUMBER: _ClassVar[int]
    verdict: str
    envelope: str
    junit: str
    markdown: str
    html: str
    def __init__(self, verdict: _Optional[str] = ..., envelope: _Optional[str] = ..., junit: _Optional[str] = ..., markdown: _Optional[str] = ..., html: _Optional[str] = ...) -> None: ...

class Evaluation(_message.Message):
    __slots__ = ("name", "display_name", "state", "failure", "progress", "baseline", "candidate", "audit", "config", "baseline_sha256", "candidate_sha256", "dataset_sha256", "label_set_digest", "verdict", "checks", "test_accuracy_before", "test_accuracy_after", "test_size", "classes", "regions", "second_search", "warnings", "times", "regions_artifact", "policy", "policy_sha256", "encoder_sha256", "decoder_sha256", "code_version", "input_digest", "labeling", "evidence", "audit_created", "region_files")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    BASELINE_SHA256_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_SHA256_FIELD_NUMBER: _ClassVar[int]
    DATASET_SHA256_FIELD_NUMBER: _ClassVar[int]
    LABEL_SET_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    TEST_ACCURACY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    TEST_ACCURACY_AFTER_FIELD_NUMBER: _ClassVar[int]
    TEST_SIZE_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    SECOND_SEARCH_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    REGIONS_ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_SHA256_FIELD_NUMBER: _ClassVar[int]
    ENCODER_SHA256_FIELD_NUMBER: _ClassVar[int]
    DECODER_SHA256_FIELD_NUMBER: _ClassVar[int]
    CODE_VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LABELING_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_CREATED_FIELD_NUMBER: _ClassVar[int]
    REGION_FILES_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: _models_pb2.JobState
    failure: _models_pb2.Failure
    progress: _models_pb2.Progress
    baseline: str
    candidate: str
    audit: str
    config: EvaluationConfig
    baseline_sha256: str
    candidate_sha256: str
    dataset_sha256: str
    label_set_digest: str
    verdict: Verdict
    checks: _containers.RepeatedCompositeFieldContainer[Check]
    test_accuracy_before: float
    test_accuracy_after: float
    test_size: int
    classes: _containers.RepeatedCompositeFieldContainer[ClassAccuracy]
    regions: _containers.RepeatedCompositeFieldContainer[RegionAccuracy]
    second_search: SecondSearch
    warnings: _containers.RepeatedCompositeFieldContainer[_models_pb2.Warning]
    times: _models_pb2.JobTimes
    regions_artifact: str
    policy: str
    policy_sha256: str
    encoder_sha256: str
    decoder_sha256: str
    code_version: str
    input_digest: str
    labeling: LabelingFigures
    evidence: Evidence
    audit_created: bool
    region_files: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[_models_pb2.JobState, str]] = ..., failure: _Optional[_Union[_models_pb2.Failure, _Mapping]] = ..., progress: _Optional[_Union[_models_pb2.Progress, _Mapping]] = ..., baseline: _Optional[str] = ..., candidate: _Optional[str] = ..., audit: _Optional[str] = ..., config: _Optional[_Union[EvaluationConfig, _Mapping]] = ..., baseline_sha256: _Optional[str] = ..., candidate_sha256: _Optional[str] = ..., dataset_sha256: _Optional[str] = ..., label_set_digest: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., checks: _Optional[_Iterable[_Union[Check, _Mapping]]] = ..., test_accuracy_before: _Optional[float] = ..., test_accuracy_after: _Optional[float] = ..., test_size: _Optional[int] = ..., classes: _Optional[_Iterable[_Union[ClassAccuracy, _Mapping]]] = ..., regions: _Optional[_Iterable[_Union[RegionAccuracy, _Mapping]]] = ..., second_search: _Optional[_Union[SecondSearch, _Mapping]] = ..., warnings: _Optional[_Iterable[_Union[_models_pb2.Warning, _Mapping]]] = ..., times: _Optional[_Union[_models_pb2.JobTimes, _Mapping]] = ..., regions_artifact: _Optional[str] = ..., policy: _Optional[str] = ..., policy_sha256: _Optional[str] = ..., encoder_sha256: _Optional[str] = ..., decoder_sha256: _Optional[str] = ..., code_version: _Optional[str] = ..., input_digest: _Optional[str] = ..., labeling: _Optional[_Union[LabelingFigures, _Mapping]] = ..., evidence: _Optional[_Union[Evidence, _Mapping]] = ..., audit_created: bool = ..., region_files: _Optional[_Iterable[str]] = ...) -> None: ...

class EvaluationConfig(_message.Message):
    __slots__ = ("seed", "device")
    SEED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    seed: int
    device: str
    def __init__(self, seed: _Optional[int] = ..., device: _Optional[str] = ...) -> None: ...

class CreateEvaluationRequest(_message.Message):
    __slots__ = ("request_id", "display_name", "baseline", "candidate", "audit", "config", "policy", "vae", "dataset", "candidate_sha256", "labels")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    VAE_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_SHA256_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    display_name: str
    baseline: str
    candidate: str
    audit: str
    config: EvaluationConfig
    policy: str
    vae: str
    dataset: str
    candidate_sha256: str
    labels: LabelChoice
    def __init__(self, request_id: _Optional[str] = ..., display_name: _Optional[str] = ..., baseline: _Optional[str] = ..., candidate: _Optional[str] = ..., audit: _Optional[str] = ..., config: _Optional[_Union[EvaluationConfig, _Mapping]] = ..., policy: _Optional[str] = ..., vae: _Optional[str] = ..., dataset: _Optional[str] = ..., candidate_sha256: _Optional[str] = ..., labels: _Optional[_Union[LabelChoice, str]] = ...) -> None: ...

class GetEvaluationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListEvaluationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: _models_pb2.JobState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[_models_pb2.JobState, str]] = ...) -> None: ...

class ListEvaluationsResponse(_message.Message):
    __slots__ = ("evaluations", "next_page_token")
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    evaluations: _containers.RepeatedCompositeFieldContainer[Evaluation]
    next_page_token: str
    def __init__(self, evaluations: _Optional[_Iterable[_Union[Evaluation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchEvaluationRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class WatchEvaluationResponse(_message.Message):
    __slots__ = ("evaluation", "cursor")
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    evaluation: Evaluation
    cursor: str
    def __init__(self, evaluation: _Optional[_Union[Evaluation, _Mapping]] = ..., cursor: _Optional[str] = ...) -> None: ...

class CancelEvaluationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteEvaluationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteEvaluationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

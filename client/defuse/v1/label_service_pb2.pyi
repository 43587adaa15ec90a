import datetime

from defuse.v1 import audit_service_pb2 as _audit_service_pb2
from defuse.v1 import models_pb2 as _models_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LabelVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_VERDICT_UNSPECIFIED: _ClassVar[LabelVerdict]
    LABEL_VERDICT_MIXED: _ClassVar[LabelVerdict]
    LABEL_VERDICT_INVALID: _ClassVar[LabelVerdict]
    LABEL_VERDICT_CANNOT_TELL: _ClassVar[LabelVerdict]

class LabelFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_FORMAT_UNSPECIFIED: _ClassVar[LabelFormat]
    LABEL_FORMAT_LABEL_STUDIO: _ClassVar[LabelFormat]
    LABEL_FORMAT_CSV: _ClassVar[LabelFormat]

class ImportProblemReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMPORT_PROBLEM_REASON_UNSPECIFIED: _ClassVar[ImportProblemReason]
    IMPORT_PROBLEM_REASON_MALFORMED: _ClassVar[ImportProblemReason]
    IMPORT_PROBLEM_REASON_OTHER_AUDIT: _ClassVar[ImportProblemReason]
    IMPORT_PROBLEM_REASON_REGION_UNKNOWN: _ClassVar[ImportProblemReason]
    IMPORT_PROBLEM_REASON_REGION_CHANGED: _ClassVar[ImportProblemReason]
    IMPORT_PROBLEM_REASON_LABEL_UNKNOWN: _ClassVar[ImportProblemReason]
    IMPORT_PROBLEM_REASON_ALREADY_ANSWERED: _ClassVar[ImportProblemReason]
    IMPORT_PROBLEM_REASON_REGION_CLOSED: _ClassVar[ImportProblemReason]
    IMPORT_PROBLEM_REASON_REGION_LEASED: _ClassVar[ImportProblemReason]
    IMPORT_PROBLEM_REASON_ANNOTATION_CHANGED: _ClassVar[ImportProblemReason]
LABEL_VERDICT_UNSPECIFIED: LabelVerdict
LABEL_VERDICT_MIXED: LabelVerdict
LABEL_VERDICT_INVALID: LabelVerdict
LABEL_VERDICT_CANNOT_TELL: LabelVerdict
LABEL_FORMAT_UNSPECIFIED: LabelFormat
LABEL_FORMAT_LABEL_STUDIO: LabelFormat
LABEL_FORMAT_CSV: LabelFormat
IMPORT_PROBLEM_REASON_UNSPECIFIED: ImportProblemReason
IMPORT_PROBLEM_REASON_MALFORMED: ImportProblemReason
IMPORT_PROBLEM_REASON_OTHER_AUDIT: ImportProblemReason
IMPORT_PROBLEM_REASON_REGION_UNKNOWN: ImportProblemReason
IMPORT_PROBLEM_REASON_REGION_CHANGED: ImportProblemReason
IMPORT_PROBLEM_REASON_LABEL_UNKNOWN: ImportProblemReason
IMPORT_PROBLEM_REASON_ALREADY_ANSWERED: ImportProblemReason
IMPORT_PROBLEM_REASON_REGION_CLOSED: ImportProblemReason
IMPORT_PROBLEM_REASON_REGION_LEASED: ImportProblemReason
IMPORT_PROBLEM_REASON_ANNOTATION_CHANGED: ImportProblemReason

class LabelTask(_message.Message):
    __slots__ = ("region", "sheet", "class_names", "lease_token", "lease_expire_time", "state", "answer_count", "wanted_count")
    REGION_FIELD_NUMBER: _ClassVar[int]
    SHEET_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAMES_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LEASE_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_COUNT_FIELD_NUMBER: _ClassVar[int]
    WANTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    region: str
    sheet: _models_pb2.ContactSheet
    class_names: _containers.RepeatedScalarFieldContainer[str]
    lease_token: str
    lease_expire_time: _timestamp_pb2.Timestamp
    state: _audit_service_pb2.RegionState
    answer_count: int
    wanted_count: int
    def __init__(self, region: _Optional[str] = ..., sheet: _Optional[_Union[_models_pb2.ContactSheet, _Mapping]] = ..., class_names: _Optional[_Iterable[str]] = ..., lease_token: _Optional[str] = ..., lease_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[_audit_service_pb2.RegionState, str]] = ..., answer_count: _Optional[int] = ..., wanted_count: _Optional[int] = ...) -> None: ...

class LabelAnswer(_message.Message):
    __slots__ = ("label", "verdict")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    label: int
    verdict: LabelVerdict
    def __init__(self, label: _Optional[int] = ..., verdict: _Optional[_Union[LabelVerdict, str]] = ...) -> None: ...

class LeaseLabelTasksRequest(_message.Message):
    __slots__ = ("audit", "annotator", "max_tasks", "lease", "hand_back_held")
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    ANNOTATOR_FIELD_NUMBER: _ClassVar[int]
    MAX_TASKS_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    HAND_BACK_HELD_FIELD_NUMBER: _ClassVar[int]
    audit: str
    annotator: str
    max_tasks: int
    lease: _duration_pb2.Duration
    hand_back_held: bool
    def __init__(self, audit: _Optional[str] = ..., annotator: _Optional[str] = ..., max_tasks: _Optional[int] = ..., lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., hand_back_held: bool = ...) -> None: ...

class LeaseLabelTasksResponse(_message.Message):
    __slots__ = ("tasks",)
    TASKS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[LabelTask]
    def __init__(self, tasks: _Optional[_Iterable[_Union[LabelTask, _Mapping]]] = ...) -> None: ...

class ExtendLeaseRequest(_message.Message):
    __slots__ = ("region", "lease_token", "lease")
    REGION_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    region: str
    lease_token: str
    lease: _duration_pb2.Duration
    def __init__(self, region: _Optional[str] = ..., lease_token: _Optional[str] = ..., lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ExtendLeaseResponse(_message.Message):
    __slots__ = ("lease_expire_time",)
    LEASE_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    lease_expire_time: _timestamp_pb2.Timestamp
    def __init__(self, lease_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SubmitLabelRequest(_message.Message):
    __slots__ = ("region", "lease_token", "answer", "note")
    REGION_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    region: str
    lease_token: str
    answer: LabelAnswer
    note: str
    def __init__(self, region: _Optional[str] = ..., lease_token: _Optional[str] = ..., answer: _Optional[_Union[LabelAnswer, _Mapping]] = ..., note: _Optional[str] = ...) -> None: ...

class SubmitLabelResponse(_message.Message):
    __slots__ = ("state", "answer_count", "wanted_count")
    STATE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_COUNT_FIELD_NUMBER: _ClassVar[int]
    WANTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    state: _audit_service_pb2.RegionState
    answer_count: int
    wanted_count: int
    def __init__(self, state: _Optional[_Union[_audit_service_pb2.RegionState, str]] = ..., answer_count: _Optional[int] = ..., wanted_count: _Optional[int] = ...) -> None: ...

class UndoLabelRequest(_message.Message):
    __slots__ = ("region", "annotator")
    REGION_FIELD_NUMBER: _ClassVar[int]
    ANNOTATOR_FIELD_NUMBER: _ClassVar[int]
    region: str
    annotator: str
    def __init__(self, region: _Optional[str] = ..., annotator: _Optional[str] = ...) -> None: ...

class UndoLabelResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _audit_service_pb2.RegionState
    def __init__(self, state: _Optional[_Union[_audit_service_pb2.RegionState, str]] = ...) -> None: ...

class ReleaseLabelTaskRequest(_message.Message):
    __slots__ = ("region", "lease_token")
    REGION_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    region: str
    lease_token: str
    def __init__(self, region: _Optional[str] = ..., lease_token: _Optional[str] = ...) -> None: ...

class ReleaseLabelTaskResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _audit_service_pb2.RegionState
    def __init__(self, state: _Optional[_Union[_audit_service_pb2.RegionState, str]] = ...) -> None: ...

class SkipLabelTaskRequest(_message.Message):
    __slots__ = ("region", "lease_token", "reason")
    REGION_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    region: str
    lease_token: str
    reason: str
    def __init__(self, region: _Optional[str] = ..., lease_token: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class SkipLabelTaskResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _audit_service_pb2.RegionState
    def __init__(self, state: _Optional[_Union[_audit_service_pb2.RegionState, str]] = ...) -> None: ...

class ListLabelTasksRequest(_message.Message):
    __slots__ = ("audit", "page_size", "page_token", "state")
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    audit: str
    page_size: int
    page_token: str
    state: _audit_service_pb2.RegionState
    def __init__(self, audit: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[_audit_service_pb2.RegionState, str]] = ...) -> None: ...

class ListLabelTasksResponse(_message.Message):
    __slots__ = ("tasks", "next_page_token")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[LabelTask]
    next_page_token: str
    def __init__(self, tasks: _Optional[_Iterable[_Union[LabelTask, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetLabelingProgressRequest(_message.Message):
    __slots__ = ("audit",)
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    audit: str
    def __init__(self, audit: _Optional[str] = ...) -> None: ...

class LabelingProgress(_message.Message):
    __slots__ = ("region_count", "unlabeled_count", "leased_count", "labeled_count", "mixed_count", "invalid_count", "set_aside_count", "confirmed_count", "bug_count", "open_bug_count", "labeled_bug_count", "confirmed_bug_count")
    REGION_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNLABELED_COUNT_FIELD_NUMBER: _ClassVar[int]
    LEASED_COUNT_FIELD_NUMBER: _ClassVar[int]
    LABELED_COUNT_FIELD_NUMBER: _ClassVar[int]
    MIXED_COUNT_FIELD_NUMBER: _ClassVar[int]
    INVALID_COUNT_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_COUNT_FIELD_NUMBER: _ClassVar[int]
    BUG_COUNT_FIELD_NUMBER: _ClassVar[int]
    OPEN_BUG_COUNT_FIELD_NUMBER: _ClassVar[int]
    LABELED_BUG_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_BUG_COUNT_FIELD_NUMBER: _ClassVar[int]
    region_count: int
    unlabeled_count: int
    leased_count: int
    labeled_count: int
    mixed_count: int
    invalid_count: int
    set_aside_count: int
    confirmed_count: int
    bug_count: int
    open_bug_count: int
    labeled_bug_count: int
    confirmed_bug_count: int
    def __init__(self, region_count: _Optional[int] = ..., unlabeled_count: _Optional[int] = ..., leased_count: _Optional[int] = ..., labeled_count: _Optional[int] = ..., mixed_count: _Optional[int] = ..., invalid_count: _Optional[int] = ..., set_aside_count: _Optional[int] = ..., confirmed_count: _Optional[int] = ..., bug_count: _Optional[int] = ..., open_bug_count: _Optional[int] = ..., labeled_bug_count: _Optional[int] = ..., confirmed_bug_count: _Optional[int] = ...) -> None: ...

class GetLabelingReportRequest(_message.Message):
    __slots__ = ("audit",)
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    audit: str
    def __init__(self, audit: _Optional[str] = ...) -> None: ...

class LabelingReport(_message.Message):
    __slots__ = ("progress", "alpha", "overlap_count", "answer_count", "annotators", "skips", "contradicting", "outlook")
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_COUNT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ANNOTATORS_FIELD_NUMBER: _ClassVar[int]
    SKIPS_FIELD_NUMBER: _ClassVar[int]
    CONTRADICTING_FIELD_NUMBER: _ClassVar[int]
    OUTLOOK_FIELD_NUMBER: _ClassVar[int]
    progress: LabelingProgress
    alpha: float
    overlap_count: int
    answer_count: int
    annotators: _containers.RepeatedCompositeFieldContainer[AnnotatorRecord]
    skips: _containers.RepeatedCompositeFieldContainer[LabelSkip]
    contradicting: _containers.RepeatedScalarFieldContainer[str]
    outlook: LabelingOutlook
    def __init__(self, progress: _Optional[_Union[LabelingProgress, _Mapping]] = ..., alpha: _Optional[float] = ..., overlap_count: _Optional[int] = ..., answer_count: _Optional[int] = ..., annotators: _Optional[_Iterable[_Union[AnnotatorRecord, _Mapping]]] = ..., skips: _Optional[_Iterable[_Union[LabelSkip, _Mapping]]] = ..., contradicting: _Optional[_Iterable[str]] = ..., outlook: _Optional[_Union[LabelingOutlook, _Mapping]] = ...) -> None: ...

class LabelingOutlook(_message.Message):
    __slots__ = ("labeled_bug_count", "proposal_count", "verified", "population_count", "sample_count", "wrong_count", "wrong_bound", "answers_to_verify", "accuracy", "accuracy_next", "second_search_ratio", "second_search_ratio_next", "answers_left", "stop", "sentence", "verification")
    LABELED_BUG_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    VERIFIED_FIELD_NUMBER: _ClassVar[int]
    POPULATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    WRONG_COUNT_FIELD_NUMBER: _ClassVar[int]
    WRONG_BOUND_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_TO_VERIFY_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_NEXT_FIELD_NUMBER: _ClassVar[int]
    SECOND_SEARCH_RATIO_FIELD_NUMBER: _ClassVar[int]
    SECOND_SEARCH_RATIO_NEXT_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_LEFT_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    labeled_bug_count: int
    proposal_count: int
    verified: bool
    population_count: int
    sample_count: int
    wrong_count: int
    wrong_bound: float
    answers_to_verify: int
    accuracy: float
    accuracy_next: float
    second_search_ratio: float
    second_search_ratio_next: float
    answers_left: int
    stop: bool
    sentence: str
    verification: str
    def __init__(self, labeled_bug_count: _Optional[int] = ..., proposal_count: _Optional[int] = ..., verified: bool = ..., population_count: _Optional[int] = ..., sample_count: _Optional[int] = ..., wrong_count: _Optional[int] = ..., wrong_bound: _Optional[float] = ..., answers_to_verify: _Optional[int] = ..., accuracy: _Optional[float] = ..., accuracy_next: _Optional[float] = ..., second_search_ratio: _Optional[float] = ..., second_search_ratio_next: _Optional[float] = ..., answers_left: _Optional[int] = ..., stop: bool = ..., sentence: _Optional[str] = ..., verification: _Optional[str] = ...) -> None: ...

class AnnotatorRecord(_message.Message):
    __slots__ = ("annotator", "answer_count", "cannot_tell_count", "compared_count", "agreed_count", "gold_count", "gold_right_count", "skip_count", "median_answer_s")
    ANNOTATOR_FIELD_NUMBER: _ClassVar[int]
    ANSWER_COUNT_FIELD_NUMBER: _ClassVar[int]
    CANNOT_TELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMPARED_COUNT_FIELD_NUMBER: _ClassVar[int]
    AGREED_COUNT_FIELD_NUMBER: _ClassVar[int]
    GOLD_COUNT_FIELD_NUMBER: _ClassVar[int]
    GOLD_RIGHT_COUNT_FIELD_NUMBER: _ClassVar[int]
    SKIP_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_ANSWER_S_FIELD_NUMBER: _ClassVar[int]
    annotator: str
    answer_count: int
    cannot_tell_count: int
    compared_count: int
    agreed_count: int
    gold_count: int
    gold_right_count: int
    skip_count: int
    median_answer_s: float
    def __init__(self, annotator: _Optional[str] = ..., answer_count: _Optional[int] = ..., cannot_tell_count: _Optional[int] = ..., compared_count: _Optional[int] = ..., agreed_count: _Optional[int] = ..., gold_count: _Optional[int] = ..., gold_right_count: _Optional[int] = ..., skip_count: _Optional[int] = ..., median_answer_s: _Optional[float] = ...) -> None: ...

class LabelSkip(_message.Message):
    __slots__ = ("region", "annotator", "reason", "time")
    REGION_FIELD_NUMBER: _ClassVar[int]
    ANNOTATOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    region: str
    annotator: str
    reason: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, region: _Optional[str] = ..., annotator: _Optional[str] = ..., reason: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExportLabelTasksRequest(_message.Message):
    __slots__ = ("audit", "format", "image_base_url", "include_closed")
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_BASE_URL_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CLOSED_FIELD_NUMBER: _ClassVar[int]
    audit: str
    format: LabelFormat
    image_base_url: str
    include_closed: bool
    def __init__(self, audit: _Optional[str] = ..., format: _Optional[_Union[LabelFormat, str]] = ..., image_base_url: _Optional[str] = ..., include_closed: bool = ...) -> None: ...

class ExportLabelTasksResponse(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: ExportLabelTasksHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[ExportLabelTasksHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ExportLabelTasksHeader(_message.Message):
    __slots__ = ("task_count", "labeling_config")
    TASK_COUNT_FIELD_NUMBER: _ClassVar[int]
    LABELING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    task_count: int
    labeling_config: str
    def __init__(self, task_count: _Optional[int] = ..., labeling_config: _Optional[str] = ...) -> None: ...

class ImportLabelsRequest(_message.Message):
    __slots__ = ("header", "data")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    header: ImportLabelsHeader
    data: bytes
    def __init__(self, header: _Optional[_Union[ImportLabelsHeader, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ImportLabelsHeader(_message.Message):
    __slots__ = ("audit", "format", "annotator")
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    ANNOTATOR_FIELD_NUMBER: _ClassVar[int]
    audit: str
    format: LabelFormat
    annotator: str
    def __init__(self, audit: _Optional[str] = ..., format: _Optional[_Union[LabelFormat, str]] = ..., annotator: _Optional[str] = ...) -> None: ...

class ImportLabelsResponse(_message.Message):
    __slots__ = ("imported_count", "known_count", "unanswered_count", "problem_count", "problems")
    IMPORTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    KNOWN_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNANSWERED_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    imported_count: int
    known_count: int
    unanswered_count: int
    problem_count: int
    problems: _containers.RepeatedCompositeFieldContainer[ImportProblem]
    def __init__(self, imported_count: _Optional[int] = ..., known_count: _Optional[int] = ..., unanswered_count: _Optional[int] = ..., problem_count: _Optional[int] = ..., problems: _Optional[_Iterable[_Union[ImportProblem, _Mapping]]] = ...) -> None: ...

class ImportProblem(_message.Message):
    __slots__ = ("row", "region", "annotator", "reason", "message")
    ROW_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ANNOTATOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    row: int
    region: str
    annotator: str
    reason: ImportProblemReason
    message: str
    def __init__(self, row: _Optional[int] = ..., region: _Optional[str] = ..., annotator: _Optional[str] = ..., reason: _Optional[_Union[ImportProblemReason, str]] = ..., message: _Optional[str] = ...) -> None: ...

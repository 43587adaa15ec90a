import datetime

from defuse.v1 import models_pb2 as _models_pb2
from defuse.v1 import promotion_service_pb2 as _promotion_service_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServiceStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ServiceStatus(_message.Message):
    __slots__ = ("version", "time", "store_problem", "workers", "queues", "awaiting_audit_count", "running_jobs", "open_labelings", "open_label_task_count", "last_verdicts")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    STORE_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    AWAITING_AUDIT_COUNT_FIELD_NUMBER: _ClassVar[int]
    RUNNING_JOBS_FIELD_NUMBER: _ClassVar[int]
    OPEN_LABELINGS_FIELD_NUMBER: _ClassVar[int]
    OPEN_LABEL_TASK_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_VERDICTS_FIELD_NUMBER: _ClassVar[int]
    version: str
    time: _timestamp_pb2.Timestamp
    store_problem: str
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    queues: _containers.RepeatedCompositeFieldContainer[QueueStatus]
    awaiting_audit_count: int
    running_jobs: _containers.RepeatedCompositeFieldContainer[RunningJob]
    open_labelings: _containers.RepeatedCompositeFieldContainer[OpenLabeling]
    open_label_task_count: int
    last_verdicts: _containers.RepeatedCompositeFieldContainer[LastVerdict]
    def __init__(self, version: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., store_problem: _Optional[str] = ..., workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., queues: _Optional[_Iterable[_Union[QueueStatus, _Mapping]]] = ..., awaiting_audit_count: _Optional[int] = ..., running_jobs: _Optional[_Iterable[_Union[RunningJob, _Mapping]]] = ..., open_labelings: _Optional[_Iterable[_Union[OpenLabeling, _Mapping]]] = ..., open_label_task_count: _Optional[int] = ..., last_verdicts: _Optional[_Iterable[_Union[LastVerdict, _Mapping]]] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("worker", "heartbeat_age", "jobs")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_AGE_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    worker: str
    heartbeat_age: _duration_pb2.Duration
    jobs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, worker: _Optional[str] = ..., heartbeat_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., jobs: _Optional[_Iterable[str]] = ...) -> None: ...

class QueueStatus(_message.Message):
    __slots__ = ("kind", "count", "oldest_age")
    KIND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    OLDEST_AGE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    count: int
    oldest_age: _duration_pb2.Duration
    def __init__(self, kind: _Optional[str] = ..., count: _Optional[int] = ..., oldest_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RunningJob(_message.Message):
    __slots__ = ("name", "worker", "progress", "running_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    worker: str
    progress: _models_pb2.Progress
    running_time: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., worker: _Optional[str] = ..., progress: _Optional[_Union[_models_pb2.Progress, _Mapping]] = ..., running_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class OpenLabeling(_message.Message):
    __slots__ = ("audit", "open_task_count")
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    OPEN_TASK_COUNT_FIELD_NUMBER: _ClassVar[int]
    audit: str
    open_task_count: int
    def __init__(self, audit: _Optional[str] = ..., open_task_count: _Optional[int] = ...) -> None: ...

class LastVerdict(_message.Message):
    __slots__ = ("evaluation", "display_name", "candidate", "verdict", "end_time")
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    evaluation: str
    display_name: str
    candidate: str
    verdict: _promotion_service_pb2.Verdict
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, evaluation: _Optional[str] = ..., display_name: _Optional[str] = ..., candidate: _Optional[str] = ..., verdict: _Optional[_Union[_promotion_service_pb2.Verdict, str]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

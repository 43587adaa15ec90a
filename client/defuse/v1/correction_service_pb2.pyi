from defuse.v1 import models_pb2 as _models_pb2
from defuse.v1 import promotion_service_pb2 as _promotion_service_pb2
from defuse.v1 import setting_pb2 as _setting_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CorrectionPreset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CORRECTION_PRESET_UNSPECIFIED: _ClassVar[CorrectionPreset]
    CORRECTION_PRESET_DEFAULT: _ClassVar[CorrectionPreset]
    CORRECTION_PRESET_PAPER: _ClassVar[CorrectionPreset]

class ProposalUse(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROPOSAL_USE_UNSPECIFIED: _ClassVar[ProposalUse]
    PROPOSAL_USE_WHEN_VERIFIED: _ClassVar[ProposalUse]
    PROPOSAL_USE_OFF: _ClassVar[ProposalUse]
CORRECTION_PRESET_UNSPECIFIED: CorrectionPreset
CORRECTION_PRESET_DEFAULT: CorrectionPreset
CORRECTION_PRESET_PAPER: CorrectionPreset
PROPOSAL_USE_UNSPECIFIED: ProposalUse
PROPOSAL_USE_WHEN_VERIFIED: ProposalUse
PROPOSAL_USE_OFF: ProposalUse

class CorrectionConfig(_message.Message):
    __slots__ = ("seed", "device", "lambdas", "learning_rate", "epochs", "samples_per_region", "preset")
    SEED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    LAMBDAS_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_PER_REGION_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    seed: int
    device: str
    lambdas: _containers.RepeatedScalarFieldContainer[float]
    learning_rate: float
    epochs: int
    samples_per_region: int
    preset: CorrectionPreset
    def __init__(self, seed: _Optional[int] = ..., device: _Optional[str] = ..., lambdas: _Optional[_Iterable[float]] = ..., learning_rate: _Optional[float] = ..., epochs: _Optional[int] = ..., samples_per_region: _Optional[int] = ..., preset: _Optional[_Union[CorrectionPreset, str]] = ...) -> None: ...

class CorrectionPoint(_message.Message):
    __slots__ = ("learning_rate", "epochs", "validation_accuracy", "region_accuracy", "training_loss", "diverged", "chosen", "worst_class_change", "mined_count")
    LAMBDA_FIELD_NUMBER: _ClassVar[int]
    LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    REGION_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    TRAINING_LOSS_FIELD_NUMBER: _ClassVar[int]
    DIVERGED_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    WORST_CLASS_CHANGE_FIELD_NUMBER: _ClassVar[int]
    MINED_COUNT_FIELD_NUMBER: _ClassVar[int]
    learning_rate: float
    epochs: int
    validation_accuracy: float
    region_accuracy: float
    training_loss: float
    diverged: bool
    chosen: bool
    worst_class_change: float
    mined_count: int
    def __init__(self, learning_rate: _Optional[float] = ..., epochs: _Optional[int] = ..., validation_accuracy: _Optional[float] = ..., region_accuracy: _Optional[float] = ..., training_loss: _Optional[float] = ..., diverged: bool = ..., chosen: bool = ..., worst_class_change: _Optional[float] = ..., mined_count: _Optional[int] = ..., **kwargs) -> None: ...

class Correction(_message.Message):
    __slots__ = ("name", "display_name", "state", "failure", "progress", "audit", "config", "label_set_digest", "labeled_region_count", "confirmed_region_count", "baseline", "curve", "corrected_classifier", "parity_max_abs_error", "warnings", "times", "control", "regions_artifact", "labeling", "proposals", "proposal_region_count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    LABEL_SET_DIGEST_FIELD_NUMBER: _ClassVar[int]
    LABELED_REGION_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_REGION_COUNT_FIELD_NUMBER: _ClassVar[int]
    BASELINE_FIELD_NUMBER: _ClassVar[int]
    CURVE_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    PARITY_MAX_ABS_ERROR_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    REGIONS_ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    LABELING_FIELD_NUMBER: _ClassVar[int]
    PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_REGION_COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: _models_pb2.JobState
    failure: _models_pb2.Failure
    progress: _models_pb2.Progress
    audit: str
    config: CorrectionConfig
    label_set_digest: str
    labeled_region_count: int
    confirmed_region_count: int
    baseline: CorrectionPoint
    curve: _containers.RepeatedCompositeFieldContainer[CorrectionPoint]
    corrected_classifier: str
    parity_max_abs_error: float
    warnings: _containers.RepeatedCompositeFieldContainer[_models_pb2.Warning]
    times: _models_pb2.JobTimes
    control: CorrectionPoint
    regions_artifact: str
    labeling: _promotion_service_pb2.LabelingFigures
    proposals: ProposalUse
    proposal_region_count: int
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[_models_pb2.JobState, str]] = ..., failure: _Optional[_Union[_models_pb2.Failure, _Mapping]] = ..., progress: _Optional[_Union[_models_pb2.Progress, _Mapping]] = ..., audit: _Optional[str] = ..., config: _Optional[_Union[CorrectionConfig, _Mapping]] = ..., label_set_digest: _Optional[str] = ..., labeled_region_count: _Optional[int] = ..., confirmed_region_count: _Optional[int] = ..., baseline: _Optional[_Union[CorrectionPoint, _Mapping]] = ..., curve: _Optional[_Iterable[_Union[CorrectionPoint, _Mapping]]] = ..., corrected_classifier: _Optional[str] = ..., parity_max_abs_error: _Optional[float] = ..., warnings: _Optional[_Iterable[_Union[_models_pb2.Warning, _Mapping]]] = ..., times: _Optional[_Union[_models_pb2.JobTimes, _Mapping]] = ..., control: _Optional[_Union[CorrectionPoint, _Mapping]] = ..., regions_artifact: _Optional[str] = ..., labeling: _Optional[_Union[_promotion_service_pb2.LabelingFigures, _Mapping]] = ..., proposals: _Optional[_Union[ProposalUse, str]] = ..., proposal_region_count: _Optional[int] = ...) -> None: ...

class CreateCorrectionRequest(_message.Message):
    __slots__ = ("request_id", "display_name", "audit", "config", "proposals")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    PROPOSALS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    display_name: str
    audit: str
    config: CorrectionConfig
    proposals: ProposalUse
    def __init__(self, request_id: _Optional[str] = ..., display_name: _Optional[str] = ..., audit: _Optional[str] = ..., config: _Optional[_Union[CorrectionConfig, _Mapping]] = ..., proposals: _Optional[_Union[ProposalUse, str]] = ...) -> None: ...

class GetCorrectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListCorrectionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: _models_pb2.JobState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[_models_pb2.JobState, str]] = ...) -> None: ...

class ListCorrectionsResponse(_message.Message):
    __slots__ = ("corrections", "next_page_token")
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    corrections: _containers.RepeatedCompositeFieldContainer[Correction]
    next_page_token: str
    def __init__(self, corrections: _Optional[_Iterable[_Union[Correction, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchCorrectionRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class WatchCorrectionResponse(_message.Message):
    __slots__ = ("correction", "cursor")
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    correction: Correction
    cursor: str
    def __init__(self, correction: _Optional[_Union[Correction, _Mapping]] = ..., cursor: _Optional[str] = ...) -> None: ...

class CancelCorrectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteCorrectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteCorrectionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

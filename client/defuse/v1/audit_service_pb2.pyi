from defuse.v1 import models_pb2 as _models_pb2
from defuse.v1 import setting_pb2 as _setting_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Preset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRESET_UNSPECIFIED: _ClassVar[Preset]
    PRESET_DEFAULT: _ClassVar[Preset]
    PRESET_PAPER: _ClassVar[Preset]

class SearchMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEARCH_METHOD_UNSPECIFIED: _ClassVar[SearchMethod]
    SEARCH_METHOD_PAPER: _ClassVar[SearchMethod]
    SEARCH_METHOD_NEIGHBOURHOOD: _ClassVar[SearchMethod]
    SEARCH_METHOD_GRADIENT: _ClassVar[SearchMethod]

class StopReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOP_REASON_UNSPECIFIED: _ClassVar[StopReason]
    STOP_REASON_SEEDS_EXHAUSTED: _ClassVar[StopReason]
    STOP_REASON_SATURATED: _ClassVar[StopReason]
    STOP_REASON_CANDIDATE_BUDGET: _ClassVar[StopReason]
    STOP_REASON_TIME_BUDGET: _ClassVar[StopReason]

class ConsensusMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSENSUS_METHOD_UNSPECIFIED: _ClassVar[ConsensusMethod]
    CONSENSUS_METHOD_MAJORITY: _ClassVar[ConsensusMethod]
    CONSENSUS_METHOD_DAWID_SKENE: _ClassVar[ConsensusMethod]

class RegionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REGION_STATE_UNSPECIFIED: _ClassVar[RegionState]
    REGION_STATE_UNLABELED: _ClassVar[RegionState]
    REGION_STATE_LEASED: _ClassVar[RegionState]
    REGION_STATE_LABELED: _ClassVar[RegionState]
    REGION_STATE_MIXED: _ClassVar[RegionState]
    REGION_STATE_INVALID: _ClassVar[RegionState]
    REGION_STATE_SET_ASIDE: _ClassVar[RegionState]
PRESET_UNSPECIFIED: Preset
PRESET_DEFAULT: Preset
PRESET_PAPER: Preset
SEARCH_METHOD_UNSPECIFIED: SearchMethod
SEARCH_METHOD_PAPER: SearchMethod
SEARCH_METHOD_NEIGHBOURHOOD: SearchMethod
SEARCH_METHOD_GRADIENT: SearchMethod
STOP_REASON_UNSPECIFIED: StopReason
STOP_REASON_SEEDS_EXHAUSTED: StopReason
STOP_REASON_SATURATED: StopReason
STOP_REASON_CANDIDATE_BUDGET: StopReason
STOP_REASON_TIME_BUDGET: StopReason
CONSENSUS_METHOD_UNSPECIFIED: ConsensusMethod
CONSENSUS_METHOD_MAJORITY: ConsensusMethod
CONSENSUS_METHOD_DAWID_SKENE: ConsensusMethod
REGION_STATE_UNSPECIFIED: RegionState
REGION_STATE_UNLABELED: RegionState
REGION_STATE_LEASED: RegionState
REGION_STATE_LABELED: RegionState
REGION_STATE_MIXED: RegionState
REGION_STATE_INVALID: RegionState
REGION_STATE_SET_ASIDE: RegionState

class AuditConfig(_message.Message):
    __slots__ = ("preset", "seed", "device", "max_seeds", "candidates_per_seed", "kept_per_seed", "noise_scale", "neighbours", "agreement_threshold", "tau", "annotators_per_region", "methods", "max_candidates", "budget_s", "patience_shards", "belief_threshold", "labeling")
    PRESET_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    MAX_SEEDS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_PER_SEED_FIELD_NUMBER: _ClassVar[int]
    KEPT_PER_SEED_FIELD_NUMBER: _ClassVar[int]
    NOISE_SCALE_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    TAU_FIELD_NUMBER: _ClassVar[int]
    ANNOTATORS_PER_REGION_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    MAX_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_S_FIELD_NUMBER: _ClassVar[int]
    PATIENCE_SHARDS_FIELD_NUMBER: _ClassVar[int]
    BELIEF_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    LABELING_FIELD_NUMBER: _ClassVar[int]
    preset: Preset
    seed: int
    device: str
    max_seeds: int
    candidates_per_seed: int
    kept_per_seed: int
    noise_scale: float
    neighbours: int
    agreement_threshold: float
    tau: float
    annotators_per_region: int
    methods: _containers.RepeatedScalarFieldContainer[SearchMethod]
    max_candidates: int
    budget_s: float
    patience_shards: int
    belief_threshold: float
    labeling: LabelingConfig
    def __init__(self, preset: _Optional[_Union[Preset, str]] = ..., seed: _Optional[int] = ..., device: _Optional[str] = ..., max_seeds: _Optional[int] = ..., candidates_per_seed: _Optional[int] = ..., kept_per_seed: _Optional[int] = ..., noise_scale: _Optional[float] = ..., neighbours: _Optional[int] = ..., agreement_threshold: _Optional[float] = ..., tau: _Optional[float] = ..., annotators_per_region: _Optional[int] = ..., methods: _Optional[_Iterable[_Union[SearchMethod, str]]] = ..., max_candidates: _Optional[int] = ..., budget_s: _Optional[float] = ..., patience_shards: _Optional[int] = ..., belief_threshold: _Optional[float] = ..., labeling: _Optional[_Union[LabelingConfig, _Mapping]] = ...) -> None: ...

class LabelingConfig(_message.Message):
    __slots__ = ("method", "max_annotators_per_region", "gold_rate")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    MAX_ANNOTATORS_PER_REGION_FIELD_NUMBER: _ClassVar[int]
    GOLD_RATE_FIELD_NUMBER: _ClassVar[int]
    method: ConsensusMethod
    max_annotators_per_region: int
    gold_rate: float
    def __init__(self, method: _Optional[_Union[ConsensusMethod, str]] = ..., max_annotators_per_region: _Optional[int] = ..., gold_rate: _Optional[float] = ...) -> None: ...

class SaturationPoint(_message.Message):
    __slots__ = ("candidates", "misclassifications", "regions")
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    MISCLASSIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    candidates: int
    misclassifications: int
    regions: int
    def __init__(self, candidates: _Optional[int] = ..., misclassifications: _Optional[int] = ..., regions: _Optional[int] = ...) -> None: ...

class CalibrationFigures(_message.Message):
    __slots__ = ("items", "bug_share", "expected_calibration_error", "brier_score")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    BUG_SHARE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    BRIER_SCORE_FIELD_NUMBER: _ClassVar[int]
    items: int
    bug_share: float
    expected_calibration_error: float
    brier_score: float
    def __init__(self, items: _Optional[int] = ..., bug_share: _Optional[float] = ..., expected_calibration_error: _Optional[float] = ..., brier_score: _Optional[float] = ...) -> None: ...

class PreflightFigures(_message.Message):
    __slots__ = ("classifier_accuracy", "reconstruction_accuracy", "readability", "reconstruction_mse", "sample_size", "value_min", "value_max", "mean_row_sum", "latent_std", "classifier_readability", "independent_readability", "flattery", "readability_summary")
    CLASSIFIER_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    RECONSTRUCTION_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    READABILITY_FIELD_NUMBER: _ClassVar[int]
    RECONSTRUCTION_MSE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    VALUE_MIN_FIELD_NUMBER: _ClassVar[int]
    VALUE_MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_ROW_SUM_FIELD_NUMBER: _ClassVar[int]
    LATENT_STD_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_READABILITY_FIELD_NUMBER: _ClassVar[int]
    INDEPENDENT_READABILITY_FIELD_NUMBER: _ClassVar[int]
    FLATTERY_FIELD_NUMBER: _ClassVar[int]
    READABILITY_SUMMARY_FIELD_NUMBER: _ClassVar[int]
    classifier_accuracy: float
    reconstruction_accuracy: float
    readability: float
    reconstruction_mse: float
    sample_size: int
    value_min: float
    value_max: float
    mean_row_sum: float
    latent_std: float
    classifier_readability: _models_pb2.Interval
    independent_readability: _models_pb2.Interval
    flattery: _models_pb2.Interval
    readability_summary: str
    def __init__(self, classifier_accuracy: _Optional[float] = ..., reconstruction_accuracy: _Optional[float] = ..., readability: _Optional[float] = ..., reconstruction_mse: _Optional[float] = ..., sample_size: _Optional[int] = ..., value_min: _Optional[float] = ..., value_max: _Optional[float] = ..., mean_row_sum: _Optional[float] = ..., latent_std: _Optional[float] = ..., classifier_readability: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., independent_readability: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., flattery: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., readability_summary: _Optional[str] = ...) -> None: ...

class Audit(_message.Message):
    __slots__ = ("name", "display_name", "state", "failure", "progress", "classifier", "vae", "dataset", "config", "preflight", "candidate_count", "misclassification_count", "region_count", "seed_count", "warnings", "times", "saturation", "stop_reason", "calibration")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    VAE_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    PREFLIGHT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISCLASSIFICATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    REGION_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_COUNT_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    SATURATION_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: _models_pb2.JobState
    failure: _models_pb2.Failure
    progress: _models_pb2.Progress
    classifier: str
    vae: str
    dataset: str
    config: AuditConfig
    preflight: PreflightFigures
    candidate_count: int
    misclassification_count: int
    region_count: int
    seed_count: int
    warnings: _containers.RepeatedCompositeFieldContainer[_models_pb2.Warning]
    times: _models_pb2.JobTimes
    saturation: _containers.RepeatedCompositeFieldContainer[SaturationPoint]
    stop_reason: StopReason
    calibration: CalibrationFigures
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[_models_pb2.JobState, str]] = ..., failure: _Optional[_Union[_models_pb2.Failure, _Mapping]] = ..., progress: _Optional[_Union[_models_pb2.Progress, _Mapping]] = ..., classifier: _Optional[str] = ..., vae: _Optional[str] = ..., dataset: _Optional[str] = ..., config: _Optional[_Union[AuditConfig, _Mapping]] = ..., preflight: _Optional[_Union[PreflightFigures, _Mapping]] = ..., candidate_count: _Optional[int] = ..., misclassification_count: _Optional[int] = ..., region_count: _Optional[int] = ..., seed_count: _Optional[int] = ..., warnings: _Optional[_Iterable[_Union[_models_pb2.Warning, _Mapping]]] = ..., times: _Optional[_Union[_models_pb2.JobTimes, _Mapping]] = ..., saturation: _Optional[_Iterable[_Union[SaturationPoint, _Mapping]]] = ..., stop_reason: _Optional[_Union[StopReason, str]] = ..., calibration: _Optional[_Union[CalibrationFigures, _Mapping]] = ...) -> None: ...

class Misclassification(_message.Message):
    __slots__ = ("seed_index", "seed_label", "predicted_class", "confidence", "delta_norm", "agreement", "code", "bug_probability", "method")
    SEED_INDEX_FIELD_NUMBER: _ClassVar[int]
    SEED_LABEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_CLASS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    DELTA_NORM_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    BUG_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    seed_index: int
    seed_label: int
    predicted_class: int
    confidence: float
    delta_norm: float
    agreement: float
    code: _containers.RepeatedScalarFieldContainer[float]
    bug_probability: float
    method: SearchMethod
    def __init__(self, seed_index: _Optional[int] = ..., seed_label: _Optional[int] = ..., predicted_class: _Optional[int] = ..., confidence: _Optional[float] = ..., delta_norm: _Optional[float] = ..., agreement: _Optional[float] = ..., code: _Optional[_Iterable[float]] = ..., bug_probability: _Optional[float] = ..., method: _Optional[_Union[SearchMethod, str]] = ...) -> None: ...

class NearestItem(_message.Message):
    __slots__ = ("split", "index", "label", "distance")
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    split: str
    index: int
    label: int
    distance: float
    def __init__(self, split: _Optional[str] = ..., index: _Optional[int] = ..., label: _Optional[int] = ..., distance: _Optional[float] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("name", "state", "weight", "size", "seed_label", "predicted_class", "confidence", "misclassification_rate", "mean", "tau", "sheet", "nearest_sheet", "nearest", "label", "confirmed", "parent", "regions_artifact", "bug_probability", "harm", "agreement", "parts", "unsplit_reason", "bug", "label_probability")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SEED_LABEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_CLASS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    MISCLASSIFICATION_RATE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    TAU_FIELD_NUMBER: _ClassVar[int]
    SHEET_FIELD_NUMBER: _ClassVar[int]
    NEAREST_SHEET_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    REGIONS_ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    BUG_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    HARM_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    UNSPLIT_REASON_FIELD_NUMBER: _ClassVar[int]
    BUG_FIELD_NUMBER: _ClassVar[int]
    LABEL_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: RegionState
    weight: float
    size: int
    seed_label: int
    predicted_class: int
    confidence: float
    misclassification_rate: _models_pb2.Interval
    mean: _containers.RepeatedScalarFieldContainer[float]
    tau: float
    sheet: _models_pb2.ContactSheet
    nearest_sheet: _models_pb2.ContactSheet
    nearest: _containers.RepeatedCompositeFieldContainer[NearestItem]
    label: int
    confirmed: bool
    parent: str
    regions_artifact: str
    bug_probability: float
    harm: _models_pb2.Interval
    agreement: float
    parts: _containers.RepeatedScalarFieldContainer[str]
    unsplit_reason: str
    bug: str
    label_probability: float
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[RegionState, str]] = ..., weight: _Optional[float] = ..., size: _Optional[int] = ..., seed_label: _Optional[int] = ..., predicted_class: _Optional[int] = ..., confidence: _Optional[float] = ..., misclassification_rate: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., mean: _Optional[_Iterable[float]] = ..., tau: _Optional[float] = ..., sheet: _Optional[_Union[_models_pb2.ContactSheet, _Mapping]] = ..., nearest_sheet: _Optional[_Union[_models_pb2.ContactSheet, _Mapping]] = ..., nearest: _Optional[_Iterable[_Union[NearestItem, _Mapping]]] = ..., label: _Optional[int] = ..., confirmed: bool = ..., parent: _Optional[str] = ..., regions_artifact: _Optional[str] = ..., bug_probability: _Optional[float] = ..., harm: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., agreement: _Optional[float] = ..., parts: _Optional[_Iterable[str]] = ..., unsplit_reason: _Optional[str] = ..., bug: _Optional[str] = ..., label_probability: _Optional[float] = ...) -> None: ...

class Bug(_message.Message):
    __slots__ = ("name", "state", "cells", "seed_label", "predicted_class", "seed_count", "size", "bug_probability", "harm", "harm_share", "sheet", "shown_cells", "nearest_sheet", "nearest", "label", "confirmed", "agreement", "labeled_cells", "parent", "parts", "unsplit_reason", "label_probability", "purity_bound")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    SEED_LABEL_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_CLASS_FIELD_NUMBER: _ClassVar[int]
    SEED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    BUG_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    HARM_FIELD_NUMBER: _ClassVar[int]
    HARM_SHARE_FIELD_NUMBER: _ClassVar[int]
    SHEET_FIELD_NUMBER: _ClassVar[int]
    SHOWN_CELLS_FIELD_NUMBER: _ClassVar[int]
    NEAREST_SHEET_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    LABELED_CELLS_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    UNSPLIT_REASON_FIELD_NUMBER: _ClassVar[int]
    LABEL_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PURITY_BOUND_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: RegionState
    cells: _containers.RepeatedScalarFieldContainer[str]
    seed_label: int
    predicted_class: int
    seed_count: int
    size: int
    bug_probability: float
    harm: _models_pb2.Interval
    harm_share: float
    sheet: _models_pb2.ContactSheet
    shown_cells: _containers.RepeatedScalarFieldContainer[str]
    nearest_sheet: _models_pb2.ContactSheet
    nearest: _containers.RepeatedCompositeFieldContainer[NearestItem]
    label: int
    confirmed: bool
    agreement: float
    labeled_cells: _containers.RepeatedScalarFieldContainer[str]
    parent: str
    parts: _containers.RepeatedScalarFieldContainer[str]
    unsplit_reason: str
    label_probability: float
    purity_bound: float
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[RegionState, str]] = ..., cells: _Optional[_Iterable[str]] = ..., seed_label: _Optional[int] = ..., predicted_class: _Optional[int] = ..., seed_count: _Optional[int] = ..., size: _Optional[int] = ..., bug_probability: _Optional[float] = ..., harm: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., harm_share: _Optional[float] = ..., sheet: _Optional[_Union[_models_pb2.ContactSheet, _Mapping]] = ..., shown_cells: _Optional[_Iterable[str]] = ..., nearest_sheet: _Optional[_Union[_models_pb2.ContactSheet, _Mapping]] = ..., nearest: _Optional[_Iterable[_Union[NearestItem, _Mapping]]] = ..., label: _Optional[int] = ..., confirmed: bool = ..., agreement: _Optional[float] = ..., labeled_cells: _Optional[_Iterable[str]] = ..., parent: _Optional[str] = ..., parts: _Optional[_Iterable[str]] = ..., unsplit_reason: _Optional[str] = ..., label_probability: _Optional[float] = ..., purity_bound: _Optional[float] = ...) -> None: ...

class RegionSplit(_message.Message):
    __slots__ = ("name", "state", "failure", "progress", "regions", "warnings", "times")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: _models_pb2.JobState
    failure: _models_pb2.Failure
    progress: _models_pb2.Progress
    regions: _containers.RepeatedScalarFieldContainer[str]
    warnings: _containers.RepeatedCompositeFieldContainer[_models_pb2.Warning]
    times: _models_pb2.JobTimes
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[_models_pb2.JobState, str]] = ..., failure: _Optional[_Union[_models_pb2.Failure, _Mapping]] = ..., progress: _Optional[_Union[_models_pb2.Progress, _Mapping]] = ..., regions: _Optional[_Iterable[str]] = ..., warnings: _Optional[_Iterable[_Union[_models_pb2.Warning, _Mapping]]] = ..., times: _Optional[_Union[_models_pb2.JobTimes, _Mapping]] = ...) -> None: ...

class CreateAuditRequest(_message.Message):
    __slots__ = ("request_id", "display_name", "classifier", "vae", "dataset", "config")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    VAE_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    display_name: str
    classifier: str
    vae: str
    dataset: str
    config: AuditConfig
    def __init__(self, request_id: _Optional[str] = ..., display_name: _Optional[str] = ..., classifier: _Optional[str] = ..., vae: _Optional[str] = ..., dataset: _Optional[str] = ..., config: _Optional[_Union[AuditConfig, _Mapping]] = ...) -> None: ...

class GetAuditRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListAuditsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: _models_pb2.JobState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[_models_pb2.JobState, str]] = ...) -> None: ...

class ListAuditsResponse(_message.Message):
    __slots__ = ("audits", "next_page_token")
    AUDITS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    audits: _containers.RepeatedCompositeFieldContainer[Audit]
    next_page_token: str
    def __init__(self, audits: _Optional[_Iterable[_Union[Audit, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchAuditRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class WatchAuditResponse(_message.Message):
    __slots__ = ("audit", "cursor")
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    audit: Audit
    cursor: str
    def __init__(self, audit: _Optional[_Union[Audit, _Mapping]] = ..., cursor: _Optional[str] = ...) -> None: ...

class CancelAuditRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteAuditRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteAuditResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StreamMisclassificationsRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class StreamMisclassificationsResponse(_message.Message):
    __slots__ = ("misclassifications", "cursor")
    MISCLASSIFICATIONS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    misclassifications: _containers.RepeatedCompositeFieldContainer[Misclassification]
    cursor: str
    def __init__(self, misclassifications: _Optional[_Iterable[_Union[Misclassification, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class StreamRegionsRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class StreamRegionsResponse(_message.Message):
    __slots__ = ("regions", "cursor")
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    regions: _containers.RepeatedCompositeFieldContainer[Region]
    cursor: str
    def __init__(self, regions: _Optional[_Iterable[_Union[Region, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class StreamBugsRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class StreamBugsResponse(_message.Message):
    __slots__ = ("bugs", "cursor")
    BUGS_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    bugs: _containers.RepeatedCompositeFieldContainer[Bug]
    cursor: str
    def __init__(self, bugs: _Optional[_Iterable[_Union[Bug, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class GetBugRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListBugsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "state", "confirmed_only")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_ONLY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    state: RegionState
    confirmed_only: bool
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[RegionState, str]] = ..., confirmed_only: bool = ...) -> None: ...

class ListBugsResponse(_message.Message):
    __slots__ = ("bugs", "next_page_token")
    BUGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    bugs: _containers.RepeatedCompositeFieldContainer[Bug]
    next_page_token: str
    def __init__(self, bugs: _Optional[_Iterable[_Union[Bug, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetRegionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetRegionSplitRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListRegionsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "state", "confirmed_only")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_ONLY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    state: RegionState
    confirmed_only: bool
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[RegionState, str]] = ..., confirmed_only: bool = ...) -> None: ...

class ListRegionsResponse(_message.Message):
    __slots__ = ("regions", "next_page_token")
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    regions: _containers.RepeatedCompositeFieldContainer[Region]
    next_page_token: str
    def __init__(self, regions: _Optional[_Iterable[_Union[Region, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

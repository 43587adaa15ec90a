import datetime

from defuse.v1 import models_pb2 as _models_pb2
from defuse.v1 import setting_pb2 as _setting_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RegistrationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REGISTRATION_STATE_UNSPECIFIED: _ClassVar[RegistrationState]
    REGISTRATION_STATE_INSPECTING: _ClassVar[RegistrationState]
    REGISTRATION_STATE_READY: _ClassVar[RegistrationState]
    REGISTRATION_STATE_REJECTED: _ClassVar[RegistrationState]

class VaeSpread(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VAE_SPREAD_UNSPECIFIED: _ClassVar[VaeSpread]
    VAE_SPREAD_LOGVAR: _ClassVar[VaeSpread]
    VAE_SPREAD_SIGMA: _ClassVar[VaeSpread]
    VAE_SPREAD_NONE: _ClassVar[VaeSpread]
REGISTRATION_STATE_UNSPECIFIED: RegistrationState
REGISTRATION_STATE_INSPECTING: RegistrationState
REGISTRATION_STATE_READY: RegistrationState
REGISTRATION_STATE_REJECTED: RegistrationState
VAE_SPREAD_UNSPECIFIED: VaeSpread
VAE_SPREAD_LOGVAR: VaeSpread
VAE_SPREAD_SIGMA: VaeSpread
VAE_SPREAD_NONE: VaeSpread

class Lineage(_message.Message):
    __slots__ = ("parent", "correction", "audit", "label_set_digest")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    LABEL_SET_DIGEST_FIELD_NUMBER: _ClassVar[int]
    parent: str
    correction: str
    audit: str
    label_set_digest: str
    def __init__(self, parent: _Optional[str] = ..., correction: _Optional[str] = ..., audit: _Optional[str] = ..., label_set_digest: _Optional[str] = ...) -> None: ...

class Classifier(_message.Message):
    __slots__ = ("name", "display_name", "state", "failure", "artifact", "preprocessing", "output_kind", "input", "output", "class_count", "image_shape", "differentiable", "undifferentiable_operations", "opset", "lineage", "create_time", "output_name", "warnings", "dataset", "dataset_accuracy")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_KIND_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CLASS_COUNT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SHAPE_FIELD_NUMBER: _ClassVar[int]
    DIFFERENTIABLE_FIELD_NUMBER: _ClassVar[int]
    UNDIFFERENTIABLE_OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    OPSET_FIELD_NUMBER: _ClassVar[int]
    LINEAGE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_NAME_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    DATASET_ACCURACY_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: RegistrationState
    failure: _models_pb2.Failure
    artifact: str
    preprocessing: _models_pb2.Preprocessing
    output_kind: _models_pb2.OutputKind
    input: _models_pb2.TensorSpec
    output: _models_pb2.TensorSpec
    class_count: int
    image_shape: _models_pb2.ImageShape
    differentiable: bool
    undifferentiable_operations: _containers.RepeatedScalarFieldContainer[str]
    opset: int
    lineage: Lineage
    create_time: _timestamp_pb2.Timestamp
    output_name: str
    warnings: _containers.RepeatedCompositeFieldContainer[_models_pb2.Warning]
    dataset: str
    dataset_accuracy: _models_pb2.Interval
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[RegistrationState, str]] = ..., failure: _Optional[_Union[_models_pb2.Failure, _Mapping]] = ..., artifact: _Optional[str] = ..., preprocessing: _Optional[_Union[_models_pb2.Preprocessing, _Mapping]] = ..., output_kind: _Optional[_Union[_models_pb2.OutputKind, str]] = ..., input: _Optional[_Union[_models_pb2.TensorSpec, _Mapping]] = ..., output: _Optional[_Union[_models_pb2.TensorSpec, _Mapping]] = ..., class_count: _Optional[int] = ..., image_shape: _Optional[_Union[_models_pb2.ImageShape, _Mapping]] = ..., differentiable: bool = ..., undifferentiable_operations: _Optional[_Iterable[str]] = ..., opset: _Optional[int] = ..., lineage: _Optional[_Union[Lineage, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., output_name: _Optional[str] = ..., warnings: _Optional[_Iterable[_Union[_models_pb2.Warning, _Mapping]]] = ..., dataset: _Optional[str] = ..., dataset_accuracy: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ...) -> None: ...

class VaeTensors(_message.Message):
    __slots__ = ("mu", "spread", "spread_kind", "code", "image")
    MU_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    SPREAD_KIND_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    mu: str
    spread: str
    spread_kind: VaeSpread
    code: str
    image: str
    def __init__(self, mu: _Optional[str] = ..., spread: _Optional[str] = ..., spread_kind: _Optional[_Union[VaeSpread, str]] = ..., code: _Optional[str] = ..., image: _Optional[str] = ...) -> None: ...

class Vae(_message.Message):
    __slots__ = ("name", "display_name", "state", "failure", "encoder_artifact", "decoder_artifact", "preprocessing", "latent_size", "image_shape", "create_time", "tensors", "training", "warnings")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ENCODER_ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    DECODER_ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_FIELD_NUMBER: _ClassVar[int]
    LATENT_SIZE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SHAPE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    TRAINING_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: RegistrationState
    failure: _models_pb2.Failure
    encoder_artifact: str
    decoder_artifact: str
    preprocessing: _models_pb2.Preprocessing
    latent_size: int
    image_shape: _models_pb2.ImageShape
    create_time: _timestamp_pb2.Timestamp
    tensors: VaeTensors
    training: str
    warnings: _containers.RepeatedCompositeFieldContainer[_models_pb2.Warning]
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[RegistrationState, str]] = ..., failure: _Optional[_Union[_models_pb2.Failure, _Mapping]] = ..., encoder_artifact: _Optional[str] = ..., decoder_artifact: _Optional[str] = ..., preprocessing: _Optional[_Union[_models_pb2.Preprocessing, _Mapping]] = ..., latent_size: _Optional[int] = ..., image_shape: _Optional[_Union[_models_pb2.ImageShape, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tensors: _Optional[_Union[VaeTensors, _Mapping]] = ..., training: _Optional[str] = ..., warnings: _Optional[_Iterable[_Union[_models_pb2.Warning, _Mapping]]] = ...) -> None: ...

class DatasetSplit(_message.Message):
    __slots__ = ("split", "size", "class_counts")
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CLASS_COUNTS_FIELD_NUMBER: _ClassVar[int]
    split: str
    size: int
    class_counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, split: _Optional[str] = ..., size: _Optional[int] = ..., class_counts: _Optional[_Iterable[int]] = ...) -> None: ...

class ClassSheet(_message.Message):
    __slots__ = ("artifact", "width", "height", "labels")
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    artifact: str
    width: int
    height: int
    labels: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, artifact: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., labels: _Optional[_Iterable[int]] = ...) -> None: ...

class DatasetDuplicates(_message.Message):
    __slots__ = ("split", "other_split", "size", "same_count", "sample_size", "compared_size", "near_count")
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    OTHER_SPLIT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    COMPARED_SIZE_FIELD_NUMBER: _ClassVar[int]
    NEAR_COUNT_FIELD_NUMBER: _ClassVar[int]
    split: str
    other_split: str
    size: int
    same_count: int
    sample_size: int
    compared_size: int
    near_count: int
    def __init__(self, split: _Optional[str] = ..., other_split: _Optional[str] = ..., size: _Optional[int] = ..., same_count: _Optional[int] = ..., sample_size: _Optional[int] = ..., compared_size: _Optional[int] = ..., near_count: _Optional[int] = ...) -> None: ...

class DatasetPair(_message.Message):
    __slots__ = ("split", "index", "label", "other_split", "other_index", "other_label", "closeness")
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    OTHER_SPLIT_FIELD_NUMBER: _ClassVar[int]
    OTHER_INDEX_FIELD_NUMBER: _ClassVar[int]
    OTHER_LABEL_FIELD_NUMBER: _ClassVar[int]
    CLOSENESS_FIELD_NUMBER: _ClassVar[int]
    split: str
    index: int
    label: int
    other_split: str
    other_index: int
    other_label: int
    closeness: float
    def __init__(self, split: _Optional[str] = ..., index: _Optional[int] = ..., label: _Optional[int] = ..., other_split: _Optional[str] = ..., other_index: _Optional[int] = ..., other_label: _Optional[int] = ..., closeness: _Optional[float] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("name", "display_name", "state", "failure", "artifact", "layout", "class_names", "image_shape", "splits", "value_min", "value_max", "create_time", "dtype", "warnings", "class_sheet", "duplicates", "duplicate_pairs", "duplicate_sheet")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAMES_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SHAPE_FIELD_NUMBER: _ClassVar[int]
    SPLITS_FIELD_NUMBER: _ClassVar[int]
    VALUE_MIN_FIELD_NUMBER: _ClassVar[int]
    VALUE_MAX_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    CLASS_SHEET_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_PAIRS_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_SHEET_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: RegistrationState
    failure: _models_pb2.Failure
    artifact: str
    layout: _models_pb2.Layout
    class_names: _containers.RepeatedScalarFieldContainer[str]
    image_shape: _models_pb2.ImageShape
    splits: _containers.RepeatedCompositeFieldContainer[DatasetSplit]
    value_min: float
    value_max: float
    create_time: _timestamp_pb2.Timestamp
    dtype: str
    warnings: _containers.RepeatedCompositeFieldContainer[_models_pb2.Warning]
    class_sheet: ClassSheet
    duplicates: _containers.RepeatedCompositeFieldContainer[DatasetDuplicates]
    duplicate_pairs: _containers.RepeatedCompositeFieldContainer[DatasetPair]
    duplicate_sheet: _models_pb2.ContactSheet
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[RegistrationState, str]] = ..., failure: _Optional[_Union[_models_pb2.Failure, _Mapping]] = ..., artifact: _Optional[str] = ..., layout: _Optional[_Union[_models_pb2.Layout, str]] = ..., class_names: _Optional[_Iterable[str]] = ..., image_shape: _Optional[_Union[_models_pb2.ImageShape, _Mapping]] = ..., splits: _Optional[_Iterable[_Union[DatasetSplit, _Mapping]]] = ..., value_min: _Optional[float] = ..., value_max: _Optional[float] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dtype: _Optional[str] = ..., warnings: _Optional[_Iterable[_Union[_models_pb2.Warning, _Mapping]]] = ..., class_sheet: _Optional[_Union[ClassSheet, _Mapping]] = ..., duplicates: _Optional[_Iterable[_Union[DatasetDuplicates, _Mapping]]] = ..., duplicate_pairs: _Optional[_Iterable[_Union[DatasetPair, _Mapping]]] = ..., duplicate_sheet: _Optional[_Union[_models_pb2.ContactSheet, _Mapping]] = ...) -> None: ...

class RegisterClassifierRequest(_message.Message):
    __slots__ = ("request_id", "display_name", "artifact", "preprocessing", "output_kind", "output_name", "dataset")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_KIND_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_NAME_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    display_name: str
    artifact: str
    preprocessing: _models_pb2.Preprocessing
    output_kind: _models_pb2.OutputKind
    output_name: str
    dataset: str
    def __init__(self, request_id: _Optional[str] = ..., display_name: _Optional[str] = ..., artifact: _Optional[str] = ..., preprocessing: _Optional[_Union[_models_pb2.Preprocessing, _Mapping]] = ..., output_kind: _Optional[_Union[_models_pb2.OutputKind, str]] = ..., output_name: _Optional[str] = ..., dataset: _Optional[str] = ...) -> None: ...

class GetClassifierRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchClassifierRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class WatchClassifierResponse(_message.Message):
    __slots__ = ("classifier", "cursor")
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    classifier: Classifier
    cursor: str
    def __init__(self, classifier: _Optional[_Union[Classifier, _Mapping]] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListClassifiersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: RegistrationState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[RegistrationState, str]] = ...) -> None: ...

class ListClassifiersResponse(_message.Message):
    __slots__ = ("classifiers", "next_page_token")
    CLASSIFIERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    classifiers: _containers.RepeatedCompositeFieldContainer[Classifier]
    next_page_token: str
    def __init__(self, classifiers: _Optional[_Iterable[_Union[Classifier, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteClassifierRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteClassifierResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RegisterVaeRequest(_message.Message):
    __slots__ = ("request_id", "display_name", "encoder_artifact", "decoder_artifact", "preprocessing", "tensors")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ENCODER_ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    DECODER_ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    PREPROCESSING_FIELD_NUMBER: _ClassVar[int]
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    display_name: str
    encoder_artifact: str
    decoder_artifact: str
    preprocessing: _models_pb2.Preprocessing
    tensors: VaeTensors
    def __init__(self, request_id: _Optional[str] = ..., display_name: _Optional[str] = ..., encoder_artifact: _Optional[str] = ..., decoder_artifact: _Optional[str] = ..., preprocessing: _Optional[_Union[_models_pb2.Preprocessing, _Mapping]] = ..., tensors: _Optional[_Union[VaeTensors, _Mapping]] = ...) -> None: ...

class GetVaeRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchVaeRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class WatchVaeResponse(_message.Message):
    __slots__ = ("vae", "cursor")
    VAE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    vae: Vae
    cursor: str
    def __init__(self, vae: _Optional[_Union[Vae, _Mapping]] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListVaesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: RegistrationState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[RegistrationState, str]] = ...) -> None: ...

class ListVaesResponse(_message.Message):
    __slots__ = ("vaes", "next_page_token")
    VAES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    vaes: _containers.RepeatedCompositeFieldContainer[Vae]
    next_page_token: str
    def __init__(self, vaes: _Optional[_Iterable[_Union[Vae, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteVaeRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteVaeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RegisterDatasetRequest(_message.Message):
    __slots__ = ("request_id", "display_name", "artifact", "layout", "class_names")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAMES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    display_name: str
    artifact: str
    layout: _models_pb2.Layout
    class_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., display_name: _Optional[str] = ..., artifact: _Optional[str] = ..., layout: _Optional[_Union[_models_pb2.Layout, str]] = ..., class_names: _Optional[_Iterable[str]] = ...) -> None: ...

class GetDatasetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchDatasetRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class WatchDatasetResponse(_message.Message):
    __slots__ = ("dataset", "cursor")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    dataset: Dataset
    cursor: str
    def __init__(self, dataset: _Optional[_Union[Dataset, _Mapping]] = ..., cursor: _Optional[str] = ...) -> None: ...

class ListDatasetsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: RegistrationState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[RegistrationState, str]] = ...) -> None: ...

class ListDatasetsResponse(_message.Message):
    __slots__ = ("datasets", "next_page_token")
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[Dataset]
    next_page_token: str
    def __init__(self, datasets: _Optional[_Iterable[_Union[Dataset, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteDatasetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteDatasetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VaeTrainingConfig(_message.Message):
    __slots__ = ("seed", "device", "latent_sizes", "budget_s")
    SEED_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    LATENT_SIZES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_S_FIELD_NUMBER: _ClassVar[int]
    seed: int
    device: str
    latent_sizes: _containers.RepeatedScalarFieldContainer[int]
    budget_s: float
    def __init__(self, seed: _Optional[int] = ..., device: _Optional[str] = ..., latent_sizes: _Optional[_Iterable[int]] = ..., budget_s: _Optional[float] = ...) -> None: ...

class VaeTrainingPoint(_message.Message):
    __slots__ = ("latent_size", "feature_weight", "kl_weight", "readability", "reconstruction_mse", "kl", "steps", "chosen")
    LATENT_SIZE_FIELD_NUMBER: _ClassVar[int]
    FEATURE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    KL_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    READABILITY_FIELD_NUMBER: _ClassVar[int]
    RECONSTRUCTION_MSE_FIELD_NUMBER: _ClassVar[int]
    KL_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    latent_size: int
    feature_weight: float
    kl_weight: float
    readability: float
    reconstruction_mse: float
    kl: float
    steps: int
    chosen: bool
    def __init__(self, latent_size: _Optional[int] = ..., feature_weight: _Optional[float] = ..., kl_weight: _Optional[float] = ..., readability: _Optional[float] = ..., reconstruction_mse: _Optional[float] = ..., kl: _Optional[float] = ..., steps: _Optional[int] = ..., chosen: bool = ...) -> None: ...

class VaeTrainingMilestone(_message.Message):
    __slots__ = ("budget_share", "readability")
    BUDGET_SHARE_FIELD_NUMBER: _ClassVar[int]
    READABILITY_FIELD_NUMBER: _ClassVar[int]
    budget_share: float
    readability: float
    def __init__(self, budget_share: _Optional[float] = ..., readability: _Optional[float] = ...) -> None: ...

class VaeTraining(_message.Message):
    __slots__ = ("name", "display_name", "state", "failure", "progress", "classifier", "dataset", "config", "points", "readability", "reconstruction_sheet", "prior_sheet", "vae", "warnings", "times", "classifier_readability", "independent_readability", "flattery", "readability_summary", "milestones")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    READABILITY_FIELD_NUMBER: _ClassVar[int]
    RECONSTRUCTION_SHEET_FIELD_NUMBER: _ClassVar[int]
    PRIOR_SHEET_FIELD_NUMBER: _ClassVar[int]
    VAE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_READABILITY_FIELD_NUMBER: _ClassVar[int]
    INDEPENDENT_READABILITY_FIELD_NUMBER: _ClassVar[int]
    FLATTERY_FIELD_NUMBER: _ClassVar[int]
    READABILITY_SUMMARY_FIELD_NUMBER: _ClassVar[int]
    MILESTONES_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: _models_pb2.JobState
    failure: _models_pb2.Failure
    progress: _models_pb2.Progress
    classifier: str
    dataset: str
    config: VaeTrainingConfig
    points: _containers.RepeatedCompositeFieldContainer[VaeTrainingPoint]
    readability: float
    reconstruction_sheet: _models_pb2.ContactSheet
    prior_sheet: _models_pb2.ContactSheet
    vae: str
    warnings: _containers.RepeatedCompositeFieldContainer[_models_pb2.Warning]
    times: _models_pb2.JobTimes
    classifier_readability: _models_pb2.Interval
    independent_readability: _models_pb2.Interval
    flattery: _models_pb2.Interval
    readability_summary: str
    milestones: _containers.RepeatedCompositeFieldContainer[VaeTrainingMilestone]
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[_models_pb2.JobState, str]] = ..., failure: _Optional[_Union[_models_pb2.Failure, _Mapping]] = ..., progress: _Optional[_Union[_models_pb2.Progress, _Mapping]] = ..., classifier: _Optional[str] = ..., dataset: _Optional[str] = ..., config: _Optional[_Union[VaeTrainingConfig, _Mapping]] = ..., points: _Optional[_Iterable[_Union[VaeTrainingPoint, _Mapping]]] = ..., readability: _Optional[float] = ..., reconstruction_sheet: _Optional[_Union[_models_pb2.ContactSheet, _Mapping]] = ..., prior_sheet: _Optional[_Union[_models_pb2.ContactSheet, _Mapping]] = ..., vae: _Optional[str] = ..., warnings: _Optional[_Iterable[_Union[_models_pb2.Warning, _Mapping]]] = ..., times: _Optional[_Union[_models_pb2.JobTimes, _Mapping]] = ..., classifier_readability: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., independent_readability: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., flattery: _Optional[_Union[_models_pb2.Interval, _Mapping]] = ..., readability_summary: _Optional[str] = ..., milestones: _Optional[_Iterable[_Union[VaeTrainingMilestone, _Mapping]]] = ...) -> None: ...

class TrainVaeRequest(_message.Message):
    __slots__ = ("request_id", "display_name", "classifier", "dataset", "config")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    display_name: str
    classifier: str
    dataset: str
    config: VaeTrainingConfig
    def __init__(self, request_id: _Optional[str] = ..., display_name: _Optional[str] = ..., classifier: _Optional[str] = ..., dataset: _Optional[str] = ..., config: _Optional[_Union[VaeTrainingConfig, _Mapping]] = ...) -> None: ...

class GetVaeTrainingRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListVaeTrainingsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: _models_pb2.JobState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[_Union[_models_pb2.JobState, str]] = ...) -> None: ...

class ListVaeTrainingsResponse(_message.Message):
    __slots__ = ("vae_trainings", "next_page_token")
    VAE_TRAININGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    vae_trainings: _containers.RepeatedCompositeFieldContainer[VaeTraining]
    next_page_token: str
    def __init__(self, vae_trainings: _Optional[_Iterable[_Union[VaeTraining, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchVaeTrainingRequest(_message.Message):
    __slots__ = ("name", "cursor")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    cursor: str
    def __init__(self, name: _Optional[str] = ..., cursor: _Optional[str] = ...) -> None: ...

class WatchVaeTrainingResponse(_message.Message):
    __slots__ = ("vae_training", "cursor")
    VAE_TRAINING_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    vae_training: VaeTraining
    cursor: str
    def __init__(self, vae_training: _Optional[_Union[VaeTraining, _Mapping]] = ..., cursor: _Optional[str] = ...) -> None: ...

class CancelVaeTrainingRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteVaeTrainingRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteVaeTrainingResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

"""The resources and enums of defuse.v1 in one place; requests and answers are in `defuse.v1`."""

from defuse.v1.artifact_service_pb2 import Artifact, Upload
from defuse.v1.audit_service_pb2 import (
    Audit,
    AuditConfig,
    Misclassification,
    NearestItem,
    PreflightFigures,
    Preset,
    Region,
    RegionState,
)
from defuse.v1.correction_service_pb2 import Correction, CorrectionConfig, CorrectionPoint
from defuse.v1.error_reason_pb2 import ErrorReason
from defuse.v1.label_service_pb2 import LabelAnswer, LabelingProgress, LabelTask, LabelVerdict
from defuse.v1.models_pb2 import (
    ContactSheet,
    Failure,
    ImageShape,
    Interval,
    JobState,
    JobTimes,
    Layout,
    OutputKind,
    Preprocessing,
    Progress,
    TensorSpec,
    Warning,  # noqa: A004
)
from defuse.v1.promotion_service_pb2 import (
    Check,
    ClassAccuracy,
    Evaluation,
    EvaluationConfig,
    RegionAccuracy,
    SecondSearch,
    Verdict,
)
from defuse.v1.registry_service_pb2 import Classifier, Dataset, DatasetSplit, Lineage, RegistrationState, Vae

__all__ = [
    "Artifact",
    "Audit",
    "AuditConfig",
    "Check",
    "ClassAccuracy",
    "Classifier",
    "ContactSheet",
    "Correction",
    "CorrectionConfig",
    "CorrectionPoint",
    "Dataset",
    "DatasetSplit",
    "ErrorReason",
    "Evaluation",
    "EvaluationConfig",
    "Failure",
    "ImageShape",
    "Interval",
    "JobState",
    "JobTimes",
    "LabelAnswer",
    "LabelTask",
    "LabelVerdict",
    "LabelingProgress",
    "Layout",
    "Lineage",
    "Misclassification",
    "NearestItem",
    "OutputKind",
    "PreflightFigures",
    "Preprocessing",
    "Preset",
    "Progress",
    "Region",
    "RegionAccuracy",
    "RegionState",
    "RegistrationState",
    "SecondSearch",
    "TensorSpec",
    "Upload",
    "Vae",
    "Verdict",
    "Warning",
]

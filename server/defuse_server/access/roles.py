"""Which roles may call which RPC: one line for each RPC of the contract."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a caller is there for. A caller may have several roles."""

    VIEWER = "viewer"
    """Reads everything."""
    ANNOTATOR = "annotator"
    """Labels bugs. Reads what shows no prediction and nobody's answer."""
    AUDITOR = "auditor"
    """Reads everything; registers, audits, trains, corrects, evaluates and imports labels."""
    PROMOTER = "promoter"
    """Reads everything; registers candidates and evaluates them."""
    ADMIN = "admin"
    """May do everything."""


_ADMIN: Final = frozenset({Role.ADMIN})
_LABEL: Final = _ADMIN | {Role.ANNOTATOR}
_AUDIT: Final = _ADMIN | {Role.AUDITOR}
_PROMOTE: Final = _AUDIT | {Role.PROMOTER}
_TELL: Final = _PROMOTE | {Role.VIEWER}
"""Reads that tell the prediction or other people's answers. Annotators are blind."""
_READ: Final = frozenset(Role)

READS: Final[Mapping[str, frozenset[Role]]] = {
    "ArtifactService/GetUpload": _READ,
    "ArtifactService/Download": _READ,
    "ArtifactService/GetArtifact": _READ,
    "AuditService/GetAudit": _READ,
    "AuditService/ListAudits": _READ,
    "AuditService/WatchAudit": _READ,
    "AuditService/StreamMisclassifications": _TELL,
    "AuditService/StreamRegions": _TELL,
    "AuditService/GetRegion": _TELL,
    "AuditService/ListRegions": _TELL,
    "AuditService/StreamBugs": _TELL,
    "AuditService/GetBug": _TELL,
    "AuditService/ListBugs": _TELL,
    "AuditService/GetRegionSplit": _READ,
    "CorrectionService/GetCorrection": _READ,
    "CorrectionService/ListCorrections": _READ,
    "CorrectionService/WatchCorrection": _READ,
    "LabelService/ListLabelTasks": _READ,
    "LabelService/GetLabelingProgress": _READ,
    "LabelService/GetLabelingReport": _TELL,
    "LabelService/ExportLabelTasks": _READ,
    "PromotionService/GetEvaluation": _READ,
    "PromotionService/ListEvaluations": _READ,
    "PromotionService/WatchEvaluation": _READ,
    "RegistryService/GetClassifier": _READ,
    "RegistryService/WatchClassifier": _READ,
    "RegistryService/ListClassifiers": _READ,
    "RegistryService/GetVae": _READ,
    "RegistryService/WatchVae": _READ,
    "RegistryService/ListVaes": _READ,
    "RegistryService/GetVaeTraining": _READ,
    "RegistryService/ListVaeTrainings": _READ,
    "RegistryService/WatchVaeTraining": _READ,
    "RegistryService/GetDataset": _READ,
    "RegistryService/WatchDataset": _READ,
    "RegistryService/ListDatasets": _READ,
    "StatusService/GetServiceStatus": _READ,
}
"""RPCs that change nothing."""

CHANGES: Final[Mapping[str, frozenset[Role]]] = {
    "ArtifactService/Upload": _PROMOTE,
    "AuditService/CreateAudit": _AUDIT,
    "AuditService/CancelAudit": _AUDIT,
    "AuditService/DeleteAudit": _ADMIN,
    "CorrectionService/CreateCorrection": _AUDIT,
    "CorrectionService/CancelCorrection": _AUDIT,
    "CorrectionService/DeleteCorrection": _ADMIN,
    "LabelService/LeaseLabelTasks": _LABEL,
    "LabelService/ExtendLease": _LABEL,
    "LabelService/SubmitLabel": _LABEL,
    "LabelService/UndoLabel": _LABEL,
    "LabelService/ReleaseLabelTask": _LABEL,
    "LabelService/SkipLabelTask": _LABEL,
    "LabelService/ImportLabels": _AUDIT,
    "PromotionService/CreateEvaluation": _PROMOTE,
    "PromotionService/CancelEvaluation": _PROMOTE,
    "PromotionService/DeleteEvaluation": _ADMIN,
    "RegistryService/RegisterClassifier": _PROMOTE,
    "RegistryService/DeleteClassifier": _ADMIN,
    "RegistryService/RegisterVae": _AUDIT,
    "RegistryService/DeleteVae": _ADMIN,
    "RegistryService/TrainVae": _AUDIT,
    "RegistryService/CancelVaeTraining": _AUDIT,
    "RegistryService/DeleteVaeTraining": _ADMIN,
    "RegistryService/RegisterDataset": _AUDIT,
    "RegistryService/DeleteDataset": _ADMIN,
}
"""RPCs that change something. Each call of one leaves a line in the log."""

ROLES: Final[Mapping[str, frozenset[Role]]] = {**READS, **CHANGES}
"""RPC, such as `AuditService/GetAudit` -> the roles that may call it."""

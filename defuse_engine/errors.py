"""The failures of a job that its owner can act on.

    EngineError
    ├── JobInvalid          the job file or its configuration
    ├── DeviceUnavailable   the device asked for is not there
    ├── InvalidModel        an ONNX file, or how the files fit together
    │   └── InvalidSignature    its inputs or outputs
    ├── InvalidDataset      the dataset file
    ├── PreflightRefused    the inputs are readable, but an audit of them would be noise
    ├── CorrectionFailed    nothing to correct, or nothing that may be returned
    ├── VaeTrainingFailed   the loss was not finite several times
    └── LimitExceeded       memory, time or file size

Anything else that is raised is a defect of the engine itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Stable names of expected failures, those of `defuse.v1.ErrorReason` without its prefix."""

    JOB_INVALID = "JOB_INVALID"
    DEVICE_UNAVAILABLE = "DEVICE_UNAVAILABLE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    MODEL_NOT_ONNX = "MODEL_NOT_ONNX"
    MODEL_EXTERNAL_DATA = "MODEL_EXTERNAL_DATA"
    MODEL_SIGNATURE = "MODEL_SIGNATURE"
    MODEL_CLASS_COUNT = "MODEL_CLASS_COUNT"
    MODEL_NOT_DIFFERENTIABLE = "MODEL_NOT_DIFFERENTIABLE"
    MODEL_NOT_FINITE = "MODEL_NOT_FINITE"
    MODEL_NOT_REPEATABLE = "MODEL_NOT_REPEATABLE"
    VAE_LATENT_MISMATCH = "VAE_LATENT_MISMATCH"
    VAE_SHAPE_MISMATCH = "VAE_SHAPE_MISMATCH"
    DATASET_UNREADABLE = "DATASET_UNREADABLE"
    DATASET_PICKLED = "DATASET_PICKLED"
    DATASET_NOT_FINITE = "DATASET_NOT_FINITE"
    DATASET_LABELS = "DATASET_LABELS"
    DATASET_EMPTY_SPLIT = "DATASET_EMPTY_SPLIT"
    DATASET_SHAPE = "DATASET_SHAPE"
    DATASET_CONSTANT = "DATASET_CONSTANT"
    PREFLIGHT_CLASSIFIER_ACCURACY = "PREFLIGHT_CLASSIFIER_ACCURACY"
    PREFLIGHT_READABILITY = "PREFLIGHT_READABILITY"
    PREFLIGHT_FLATTERY = "PREFLIGHT_FLATTERY"
    NO_CONFIRMED_BUG = "NO_CONFIRMED_BUG"
    CORRECTION_DIVERGED = "CORRECTION_DIVERGED"
    VAE_TRAINING_DIVERGED = "VAE_TRAINING_DIVERGED"


Figures = Mapping[str, float | int | str]


class EngineError(Exception):
    """An expected failure: `reason` for programs, the message for people, `figures` for both."""

    def __init__(self, reason: Reason | str, message: str, figures: Figures | None = None):
        super().__init__(message)
        self.reason = Reason(reason)
        self.message = message
        self.figures: dict[str, float | int | str] = dict(figures or {})


class _OneReason(EngineError):
    """An error whose class says the reason."""

    always: ClassVar[Reason]

    def __init__(self, message: str, figures: Figures | None = None):
        super().__init__(self.always, message, figures)


class JobInvalid(_OneReason):
    """The job file asks for something that does not exist or is out of range."""

    always = Reason.JOB_INVALID


class DeviceUnavailable(_OneReason):
    """The device asked for is missing; a slow success on another one would mislead."""

    always = Reason.DEVICE_UNAVAILABLE


class LimitExceeded(_OneReason):
    """The job needs more memory, time or file size than it was granted."""

    always = Reason.LIMIT_EXCEEDED


class InvalidModel(EngineError):
    """An ONNX file is broken or unsuitable, or does not fit the other files."""


class InvalidSignature(_OneReason, InvalidModel):
    """The inputs or outputs of an ONNX file are not what its use needs."""

    always = Reason.MODEL_SIGNATURE


class InvalidDataset(EngineError):
    """The dataset file is broken or unsuitable."""


class PreflightRefused(EngineError):
    """The inputs can be read, but what an audit of them reports would be noise."""


class VaeTrainingFailed(EngineError):
    """The training does not reach a finite loss."""


class CorrectionFailed(EngineError):
    """A correction has nothing to work on, or nothing that may be returned."""


class ModelOutOfMemory(MemoryError):
    """A model was refused memory while it answered a batch of `items`, or was opened (0)."""

    def __init__(self, what: str, items: int):
        super().__init__(what)
        self.what = what
        self.items = items


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error of numpy, torch, onnxruntime or a thread means that memory was refused."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    signs = (
        "bad_alloc",
        "can't allocate memory",
        "failed to allocate memory",
        "out of memory",
        "bad allocation",
        "can't start new thread",
    )
    return any(sign in text for sign in signs)

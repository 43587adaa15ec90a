from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor
SETTING_FIELD_NUMBER: _ClassVar[int]
setting: _descriptor.FieldDescriptor

class Setting(_message.Message):
    __slots__ = ("help", "default", "paper_default", "fixed_by_paper", "default_text", "least", "above", "most", "most_values", "or_never", "unit")
    HELP_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    PAPER_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    FIXED_BY_PAPER_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TEXT_FIELD_NUMBER: _ClassVar[int]
    LEAST_FIELD_NUMBER: _ClassVar[int]
    ABOVE_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    MOST_VALUES_FIELD_NUMBER: _ClassVar[int]
    OR_NEVER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    help: str
    default: _containers.RepeatedScalarFieldContainer[float]
    paper_default: _containers.RepeatedScalarFieldContainer[float]
    fixed_by_paper: bool
    default_text: str
    least: float
    above: float
    most: float
    most_values: int
    or_never: bool
    unit: str
    def __init__(self, help: _Optional[str] = ..., default: _Optional[_Iterable[float]] = ..., paper_default: _Optional[_Iterable[float]] = ..., fixed_by_paper: bool = ..., default_text: _Optional[str] = ..., least: _Optional[float] = ..., above: _Optional[float] = ..., most: _Optional[float] = ..., most_values: _Optional[int] = ..., or_never: bool = ..., unit: _Optional[str] = ...) -> None: ...

"""Client of Defuse, which finds what an image classifier gets wrong, and fixes it.

    import defuse

    with defuse.Client("127.0.0.1:50151") as client:
        classifier = client.push_classifier("classifier.onnx")
        ...

`AsyncClient` is the same with coroutines. `defuse.errors` shows what can be raised. `defuse.messages` has the
messages and enums, and `defuse.v1` the generated code.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from defuse import errors, messages
    from defuse._operations.transfer import TransferProgress
    from defuse.aio import AsyncClient
    from defuse.client import Client
    from defuse.errors import (
        ArgumentError,
        CallFailed,
        DataLoss,
        DeadlineExceeded,
        DefuseError,
        FailedPrecondition,
        Internal,
        InvalidArgument,
        JobCancelled,
        JobFailed,
        NotFound,
        Rejected,
        Unauthenticated,
        Unavailable,
    )

__all__ = [
    "ArgumentError",
    "AsyncClient",
    "CallFailed",
    "Client",
    "DataLoss",
    "DeadlineExceeded",
    "DefuseError",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "JobCancelled",
    "JobFailed",
    "NotFound",
    "Rejected",
    "TransferProgress",
    "Unauthenticated",
    "Unavailable",
    "errors",
    "messages",
]

_MODULES = {"AsyncClient": "aio", "Client": "client", "TransferProgress": "_operations.transfer"}


def __getattr__(name: str) -> object:
    # grpc takes a while to import, and the server's processes import this package for its messages alone.
    if name in ("errors", "messages"):
        return importlib.import_module(f"defuse.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'defuse' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"defuse.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

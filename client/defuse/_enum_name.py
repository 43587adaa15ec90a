"""Names of enum values as people write them."""

from typing import Any, cast


def enum_name(enum: type[int], value: int) -> str:
    """Return a value's name without its prefix, such as `PASS` for VERDICT_PASS.

    A value that this client does not know, because the server is newer, has its number as name.
    """
    names = cast(Any, enum)
    if value not in names.values():
        return str(int(value))
    return cast(str, names.Name(value)).removeprefix(names.Name(0).removesuffix("UNSPECIFIED"))

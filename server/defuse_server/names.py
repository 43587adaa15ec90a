"""Resource names: `audits/{id}`, `audits/{id}/bugs/{n}`, `artifacts/{sha256}`, `uploads/{uuid}`, ..."""

import re
import secrets
import time
from collections.abc import Sequence

from defuse_server.errors import InvalidRequest

COLLECTIONS = ("classifiers", "vaes", "datasets", "audits", "corrections", "evaluations", "vaeTrainings")

# Crockford's alphabet is in the order of its code points, so ids sort like the numbers they encode.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_DIGITS = 10
_RANDOM_DIGITS = 8
_ID = f"[{_ALPHABET}]{{{_TIME_DIGITS + _RANDOM_DIGITS}}}"
_ID_TEXT = f"{_TIME_DIGITS + _RANDOM_DIGITS} digits and lower-case letters"
REGION_SPLITS = "splits"
"""The collection of region splits, which have no id of their own: each audit has one."""

_SPLIT_NAME = re.compile(rf"(audits/{_ID})/split")
_REGION_NAME = re.compile(rf"(audits/{_ID})/regions/(0|[1-9][0-9]{{0,8}})")
_BUG_NAME = re.compile(rf"(audits/{_ID})/bugs/(0|[1-9][0-9]{{0,8}})")
_ARTIFACT_NAME = re.compile(r"artifacts/([0-9a-f]{64})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_UPLOAD_NAME = re.compile(rf"uploads/({_UUID4.pattern})")
_SHOWN_CHARACTERS = 100

FIRST_BUG = 10_000_000
"""Label tasks of regions have the regions' numbers; those of bugs are numbered from here."""
FIRST_GOLD = 100_000_000
"""Gold tasks are numbered from here."""


def new_id() -> str:
    """Make an id of 18 characters for URLs and file names. Ids sort by the time at which they were made."""
    number = (time.time_ns() // 1_000_000 << (5 * _RANDOM_DIGITS)) | secrets.randbits(5 * _RANDOM_DIGITS)
    digits = (number >> shift & 31 for shift in range(5 * (_TIME_DIGITS + _RANDOM_DIGITS - 1), -1, -5))
    return "".join(_ALPHABET[digit] for digit in digits)


def new_name(collection: str) -> str:
    """Make a name in one of `COLLECTIONS`."""
    return f"{collection}/{new_id()}"


def resource_id(collection: str, name: str, field: str = "name") -> str:
    """Return the id in `{collection}/{id}`. Raises `InvalidRequest` about `field` for another form."""
    if not re.fullmatch(rf"{collection}/{_ID}", name):
        if name.startswith(f"{collection}/"):
            told = f"there is no {_shown(name)}: expected {collection}/{{id}} with an id of {_ID_TEXT}"
            raise InvalidRequest([(field, told)])
        raise _invalid(field, f"{collection}/{{id}}", name)
    return name.partition("/")[2]


def audit_id(name: str, field: str = "name") -> str:
    """Return the id in `audits/{id}`. Raises `InvalidRequest`."""
    return resource_id("audits", name, field)


def collection_of(name: str) -> str:
    """Return the collection of a resource's name, `REGION_SPLITS` for a region split.

    Raises `InvalidRequest` for a name in none of `COLLECTIONS`.
    """
    if _SPLIT_NAME.fullmatch(name):
        return REGION_SPLITS
    collection = name.partition("/")[0]
    if collection not in COLLECTIONS:
        raise _invalid("name", " or ".join(f"{known}/{{id}}" for known in COLLECTIONS), name)
    resource_id(collection, name)
    return collection


def region_name(audit: str, number: int) -> str:
    """Return `audits/{id}/regions/{n}` of the audit `audits/{id}`."""
    return f"{audit}/regions/{number}"


def parse_region_name(name: str, field: str = "name") -> tuple[str, int]:
    """Return (`audits/{id}`, n) of `audits/{id}/regions/{n}`. Raises `InvalidRequest`."""
    audit, number = _parsed(_REGION_NAME, name, field, "audits/{id}/regions/{n}")
    return audit, int(number)


def bug_name(audit: str, number: int) -> str:
    """Return `audits/{id}/bugs/{n}` of the audit `audits/{id}`."""
    return f"{audit}/bugs/{number}"


def parse_bug_name(name: str, field: str = "name") -> tuple[str, int]:
    """Return (`audits/{id}`, n) of `audits/{id}/bugs/{n}`. Raises `InvalidRequest`."""
    match = _BUG_NAME.fullmatch(name)
    if match is None:
        raise _invalid(field, "audits/{id}/bugs/{n}", name)
    return match[1], int(match[2])


def task_name(audit: str, number: int) -> str:
    """Return the name of what a label task is about: a bug, a region, or what looks like a bug (gold)."""
    if number < FIRST_BUG:
        return region_name(audit, number)
    return bug_name(audit, number if number >= FIRST_GOLD else number - FIRST_BUG)


def parse_task_name(name: str, field: str = "name") -> tuple[str, int]:
    """Return the audit and the number of a label task. Raises `InvalidRequest`.

    Gold tasks of audits before bugs are named like regions.
    """
    if _REGION_NAME.fullmatch(name):
        return parse_region_name(name, field)
    match = _BUG_NAME.fullmatch(name)
    if match is None:
        raise _invalid(field, "audits/{id}/bugs/{n} or audits/{id}/regions/{n}", name)
    number = int(match[2])
    return match[1], number if number >= FIRST_GOLD else FIRST_BUG + number


def region_number(name: str) -> int:
    """Return n of `audits/{id}/regions/{n}`. Raises `InvalidRequest`."""
    return parse_region_name(name)[1]


def region_split_name(audit: str) -> str:
    """Return `audits/{id}/split` of the audit `audits/{id}`."""
    return f"{audit}/split"


def audit_of_region_split(name: str, field: str = "name") -> str:
    """Return `audits/{id}` of `audits/{id}/split`. Raises `InvalidRequest`."""
    return _parsed(_SPLIT_NAME, name, field, "audits/{id}/split")[0]


def artifact_name(sha256: str) -> str:
    """Return `artifacts/{sha256}`."""
    return f"artifacts/{sha256}"


def artifact_sha256(name: str, field: str = "name") -> str:
    """Return the digest in `artifacts/{sha256}`. Raises `InvalidRequest`."""
    return _parsed(_ARTIFACT_NAME, name, field, "artifacts/{sha256 in lower-case hexadecimal}")[0]


def upload_id(name: str, field: str = "name") -> str:
    """Return the UUID in `uploads/{uuid}`. Raises `InvalidRequest`."""
    return _parsed(_UPLOAD_NAME, name, field, "uploads/{lower-case UUID, version 4}")[0]


def is_sha256(text: str) -> bool:
    """Tell whether the text is a SHA-256 in lower-case hexadecimal."""
    return _SHA256.fullmatch(text) is not None


def is_uuid4(text: str) -> bool:
    """Tell whether the text is a lower-case UUID of version 4."""
    return _UUID4.fullmatch(text) is not None


def _parsed(pattern: re.Pattern[str], name: str, field: str, expected: str) -> Sequence[str]:
    if match := pattern.fullmatch(name):
        return match.groups()
    raise _invalid(field, expected, name)


def _invalid(field: str, expected: str, came: str) -> InvalidRequest:
    return InvalidRequest([(field, f"expected {expected}, got {_shown(came)}")])


def _shown(came: str) -> str:
    return repr(came if len(came) <= _SHOWN_CHARACTERS else came[:_SHOWN_CHARACTERS] + "...")

"""Checks that a delivery comes from MLflow, and is recent.

MLflow signs as Standard Webhooks do: HMAC-SHA256 over `id.timestamp.body`, in Base64 behind `v1,`
(mlflow/webhooks/delivery.py). If a delivery gets no answer, MLflow repeats it with the same id and timestamp.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

SIGNATURE: Final = "x-mlflow-signature"
TIMESTAMP: Final = "x-mlflow-timestamp"
DELIVERY_ID: Final = "x-mlflow-delivery-id"

FRESH_S: Final = 300
"""Longest difference between a timestamp and now. MLflow's last repetition is two minutes old."""

_ID = re.compile(r"[\x21-\x7e]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,12}")


class Unsigned(Exception):
    """The delivery does not come from MLflow, or is not recent."""


def check(secret: str, headers: Mapping[str, str], body: bytes, *, now_s: float) -> str:
    """Return the delivery's id. Raises `Unsigned` if a header, the signature or the time is wrong."""
    delivery, timestamp = headers.get(DELIVERY_ID, ""), headers.get(TIMESTAMP, "")
    if not _ID.fullmatch(delivery) or not _SECONDS.fullmatch(timestamp):
        raise Unsigned(f"expected the headers {DELIVERY_ID} and {TIMESTAMP}, got none or broken ones")
    signed = f"{delivery}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    # As bytes: compare_digest takes only ASCII text.
    if not hmac.compare_digest(headers.get(SIGNATURE, "").encode(), f"v1,{expected}".encode()):
        raise Unsigned("the signature is missing or made with another secret: set the webhook's secret here")
    if abs(now_s - int(timestamp)) > FRESH_S:
        raise Unsigned(f"expected a timestamp within {FRESH_S} s of this machine's clock, got {timestamp}")
    return delivery

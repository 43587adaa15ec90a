"""Whether a delivery comes from MLflow, and now.

MLflow signs as Standard Webhooks do: HMAC-SHA256 over `id.timestamp.body`, in Base64 behind `v1,`
(mlflow/webhooks/delivery.py). It repeats a delivery that got no answer with the same id and timestamp.
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
"""A delivery whose timestamp is further from now is stale; MLflow's last repetition is two minutes old."""

_ID = re.compile(r"[\x21-\x7e]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,12}")


class Unsigned(Exception):
    """The delivery is not MLflow's, or of another time."""


def check(secret: str, headers: Mapping[str, str], body: bytes, *, now_s: float) -> str:
    """Return the delivery's id. Raises Unsigned where header, signature or time is missing or wrong."""
    delivery, timestamp = headers.get(DELIVERY_ID, ""), headers.get(TIMESTAMP, "")
    if not _ID.fullmatch(delivery) or not _SECONDS.fullmatch(timestamp):
        raise Unsigned(f"expected the headers {DELIVERY_ID} and {TIMESTAMP}, got none or broken ones")
    signed = f"{delivery}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    # As bytes: compare_digest takes no text beyond ASCII.
    if not hmac.compare_digest(headers.get(SIGNATURE, "").encode(), f"v1,{expected}".encode()):
        raise Unsigned("the signature is missing or not of this secret: set the webhook's secret here, too")
    if abs(now_s - int(timestamp)) > FRESH_S:
        raise Unsigned(f"the delivery is of another time: more than {FRESH_S} s from this machine's clock")
    return delivery

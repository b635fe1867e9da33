"""How both sides of a generic webhook sign a request.

X-Sigil-Timestamp: 1764000000            unix seconds, at most five minutes off
X-Sigil-Signature: sha256=…              HMAC of the timestamp, a full stop and the raw body
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from sigil.http.signatures import is_same_secret

WINDOW_S = 300
TIMESTAMP_HEADER, SIGNATURE_HEADER = "X-Sigil-Timestamp", "X-Sigil-Signature"

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class NotSigned(Exception):  # an answer to a stranger, not a fault
    """The request is not signed as it should be. The text says why, and is no help to a forger."""


def sign(secret: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The two headers of a request that is made at `timestamp`."""
    return {
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: _compute(secret, str(timestamp), body),
    }


def check_signature(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Checks a request; names of headers are in lower case. Raises `NotSigned`.

    The signature is compared in constant time and before the clock is looked at, so a stranger
    learns nothing about either.
    """
    timestamp = headers.get(TIMESTAMP_HEADER.lower(), "")
    signature = headers.get(SIGNATURE_HEADER.lower(), "")
    if not _TIMESTAMP.fullmatch(timestamp) or not signature:
        raise NotSigned(f"{TIMESTAMP_HEADER} or {SIGNATURE_HEADER} is missing or malformed.")
    expected = _compute(secret, timestamp, body)
    if not is_same_secret(signature, expected):
        raise NotSigned("The signature does not match the body.")
    if abs(now - int(timestamp)) > WINDOW_S:
        raise NotSigned(f"{TIMESTAMP_HEADER} is more than {WINDOW_S} seconds off.")


def _compute(secret: str, timestamp: str, body: bytes) -> str:
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"

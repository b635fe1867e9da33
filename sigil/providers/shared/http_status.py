"""What an HTTP response that is not a success says: its class, and how long to wait."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from sigil.errors import ErrorKind

MAX_RETRY_AFTER_S = 24 * 3600.0

_KIND_OF_STATUS = {
    401: ErrorKind.AUTH,
    402: ErrorKind.BILLING,
    403: ErrorKind.AUTH,
    # The model was retired or never existed there. The next one may well answer.
    404: ErrorKind.UNAVAILABLE,
    408: ErrorKind.TIMEOUT,
    413: ErrorKind.CONTEXT_TOO_LONG,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
}
_CONTEXT = re.compile(
    r"context[ _](?:length|window|size)|maximum context|input tokens? exceed|too many tokens"
    r"|prompt is too long|input is too long|input token count",
    re.IGNORECASE,
)
_FLAGGED = re.compile(r"content[ _](?:filter|policy|management)|flagged|moderation", re.IGNORECASE)


def classify_status(status: int, message: str) -> ErrorKind:
    """The class of a failure by its HTTP status. Statuses that vendors use for several things are
    told apart by the message."""
    if status in (400, 413, 422) and _CONTEXT.search(message):
        return ErrorKind.CONTEXT_TOO_LONG
    if status in (400, 403, 422) and _FLAGGED.search(message):
        return ErrorKind.FILTERED
    if status in _KIND_OF_STATUS:
        return _KIND_OF_STATUS[status]
    return ErrorKind.INVALID_REQUEST if 400 <= status < 500 else ErrorKind.SERVER


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the vendor asks us to wait (RFC 9110, 10.2.3), a day at most; None if it
    does not say."""
    milliseconds = headers.get("retry-after-ms")
    value = headers.get("retry-after")
    try:
        if milliseconds is not None:
            seconds = float(milliseconds) / 1000
        elif value is None:
            return None
        elif re.fullmatch(r"[\d.]+", value):
            seconds = float(value)
        else:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), MAX_RETRY_AFTER_S)

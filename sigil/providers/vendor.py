"""What all vendors' answers have in common: status codes, headers, and secrets to keep out."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from sigil.errors import ErrorKind

_KINDS = {
    401: ErrorKind.AUTH,
    402: ErrorKind.BILLING,
    403: ErrorKind.AUTH,
    # A model that was retired or never existed there; the next one may well answer.
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
    r"|prompt is too long|input is too long",
    re.IGNORECASE,
)
_FLAGGED = re.compile(r"content[ _](?:filter|policy|management)|flagged|moderation", re.IGNORECASE)
# Keys of vendors known by their form, and whatever follows the names of credentials.
_SECRETS = re.compile(
    r"\b(?:sk|rk|pk|gsk|xai|or)-[\w*-]{8,}|\bAIza[\w-]{20,}"
    r"|(?<=bearer )\S+|(?<=api[-_]key[=:])\s*\S+",
    re.IGNORECASE,
)
_MAX_MESSAGE = 500
_MAX_RETRY_AFTER = 24 * 3600.0


def kind_of(status: int, message: str) -> ErrorKind:
    """The class of an HTTP answer that is not a success, by its status, then by its words."""
    if status in (400, 413, 422) and _CONTEXT.search(message):
        return ErrorKind.CONTEXT_TOO_LONG
    if status in (400, 403, 422) and _FLAGGED.search(message):
        return ErrorKind.FILTERED
    if status in _KINDS:
        return _KINDS[status]
    return ErrorKind.INVALID_REQUEST if 400 <= status < 500 else ErrorKind.SERVER


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the vendor asks (RFC 9110, 10.2.3), or None; a day at most."""
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
    except ValueError:
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)


def clean(message: str, *secrets: str) -> str:
    """A vendor's message in one bounded line, without the secrets and what looks like one."""
    for secret in secrets:
        if secret:
            message = message.replace(secret, "[secret]")
    message = _SECRETS.sub("[secret]", message)
    message = " ".join(message.split())
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"

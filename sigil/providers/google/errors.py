"""What Gemini's refusals mean, from the error object of Google's APIs (google.rpc.Status).

Sources: ai.google.dev/gemini-api/docs/generate-content/api-errors and
cloud.google.com/apis/design/errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sigil.errors import ErrorKind
from sigil.providers.shared.vendor import kind_of, retry_after

_KIND_OF_REASON = {
    "API_KEY_INVALID": ErrorKind.AUTH,
    "API_KEY_EXPIRED": ErrorKind.AUTH,
    "SERVICE_DISABLED": ErrorKind.AUTH,
    "BILLING_DISABLED": ErrorKind.BILLING,
}
_KIND_OF_STATUS = {
    "RESOURCE_EXHAUSTED": ErrorKind.RATE_LIMITED,
    "UNAVAILABLE": ErrorKind.OVERLOADED,
    "DEADLINE_EXCEEDED": ErrorKind.TIMEOUT,
    "UNAUTHENTICATED": ErrorKind.AUTH,
    "PERMISSION_DENIED": ErrorKind.AUTH,
    "NOT_FOUND": ErrorKind.UNAVAILABLE,
    "INTERNAL": ErrorKind.SERVER,
}
_AT_FAULT = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"})
_BAD_KEY = re.compile(r"api[ _]key (?:not valid|not found|is invalid|expired)", re.IGNORECASE)
# A limit per minute or day also says "check your plan and billing details", and passes by itself.
_NO_CREDIT = re.compile(
    r"prepa(?:id|y)|credits? (?:are|is|have|has) |spend(?:ing)?[ -](?:cap|limit)", re.IGNORECASE
)
_BILLING = re.compile(r"\bbilling\b|\bpaid plan\b", re.IGNORECASE)
_LOCATION = re.compile(r"location is not supported", re.IGNORECASE)
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_MAX_DELAY = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error object, understood. `wait` is in seconds; `status` is that of HTTP, also of an
    error in the middle of a stream, which says there what it would have been."""

    kind: ErrorKind
    message: str
    status: int | None
    request_id: object
    wait: float | None


def refusal(body: object, status: int | None, headers: Mapping[str, str]) -> Refusal:
    """What an answer means that is an error, whatever it holds."""
    fields = _error_object(body)
    details = _details(fields)
    message = fields.get("message")
    message = message if isinstance(message, str) and message else "the vendor refused"
    code = fields.get("code")
    if (status is None or status < 400) and isinstance(code, int) and 400 <= code < 600:
        status = code
    return Refusal(
        kind=_kind(fields, details, status, message),
        message=message,
        status=status,
        request_id=_first(details, "requestId") or request_id(headers),
        wait=_wait(details, headers),
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """The name under which the vendor, or a gateway before it, has written the request down."""
    return headers.get("x-goog-request-id") or headers.get("x-request-id")


def _kind(
    fields: Mapping[str, Any], details: list[dict[str, Any]], status: int | None, message: str
) -> ErrorKind:
    name = fields.get("status")
    name = name if isinstance(name, str) else ""
    reason = _KIND_OF_REASON.get(str(_first(details, "reason")))
    if reason is not None:
        return reason
    if _BAD_KEY.search(message):
        return ErrorKind.AUTH
    if status == 402 or (_exhausted(name, status) and _NO_CREDIT.search(message)):
        return ErrorKind.BILLING
    if name == "FAILED_PRECONDITION" and _BILLING.search(message):
        return ErrorKind.BILLING
    if _LOCATION.search(message):
        # Not what was asked but where from; another vendor may well answer.
        return ErrorKind.UNAVAILABLE
    if name in _KIND_OF_STATUS:
        return _KIND_OF_STATUS[name]
    return kind_of(status or (400 if name in _AT_FAULT else 500), message)


def _exhausted(name: str, status: int | None) -> bool:
    return name == "RESOURCE_EXHAUSTED" or status == 429


def _error_object(body: object) -> Mapping[str, Any]:
    """The error in the forms it comes in: bare, under `error`, or in a list of one."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return {}
    inner = body.get("error", body)
    return inner if isinstance(inner, dict) else {"message": inner}


def _details(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = fields.get("details")
    return (
        [detail for detail in details if isinstance(detail, dict)]
        if isinstance(details, list)
        else []
    )


def _first(details: list[dict[str, Any]], field: str) -> object:
    return next((detail[field] for detail in details if detail.get(field)), None)


def _wait(details: list[dict[str, Any]], headers: Mapping[str, str]) -> float | None:
    """The longer of what the header and the error's RetryInfo ask for."""
    waits = [] if (asked := retry_after(headers)) is None else [asked]
    if delay := _DELAY.fullmatch(str(_first(details, "retryDelay"))):
        waits.append(min(float(delay[1]), _MAX_DELAY))
    return max(waits, default=None)

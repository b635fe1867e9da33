"""What Gemini's errors mean, from the error object of Google's APIs (google.rpc.Status).

Sources: ai.google.dev/gemini-api/docs/generate-content/api-errors and
cloud.google.com/apis/design/errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sigil.errors import ErrorKind, ProviderError
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.errors import ErrorBody, make_error, translate_other_error
from sigil.providers.shared.http_status import (
    MAX_RETRY_AFTER_S,
    classify_status,
    read_retry_after,
)
from sigil.providers.shared.json_fields import Json, read_list, read_text

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
_REQUEST_FAULTS = frozenset({"INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"})
_BAD_KEY = re.compile(r"api[ _]key (?:not valid|not found|is invalid|expired)", re.IGNORECASE)
# A limit per minute or day also says "check your plan and billing details", and passes by itself.
_NO_CREDIT = re.compile(
    r"prepa(?:id|y)|credits? (?:are|is|have|has) |spend(?:ing)?[ -](?:cap|limit)", re.IGNORECASE
)
_BILLING = re.compile(r"\bbilling\b|\bpaid plan\b", re.IGNORECASE)
_LOCATION = re.compile(r"location is not supported", re.IGNORECASE)
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


def translate_error(
    error: Exception, endpoint: Endpoint, request_id: str | None = None
) -> ProviderError:
    """Translates whatever was raised. `request_id` is used if the error has none of its own."""
    from google.genai import errors

    if isinstance(error, errors.APIError):
        response = error.response
        return translate_refusal(
            error.details,
            endpoint,
            status=getattr(response, "status_code", None),
            headers=getattr(response, "headers", None),
            request_id=request_id,
        )
    if isinstance(error, ErrorBody):
        return translate_refusal(error.body, endpoint, request_id=request_id)
    return translate_other_error(error, endpoint, request_id)


def translate_refusal(
    body: object,
    endpoint: Endpoint,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
) -> ProviderError:
    """Translates an error object. Inside a successful response its `code` says which HTTP status
    it would have had."""
    headers = headers or {}
    fields = _find_error_object(body)
    details = [detail for detail in read_list(fields.get("details")) if isinstance(detail, dict)]
    message = read_text(fields.get("message")) or "the vendor refused"
    code = fields.get("code")
    if (status is None or status < 400) and isinstance(code, int) and 400 <= code < 600:
        status = code
    return make_error(
        endpoint,
        message,
        _classify_refusal(fields, details, status, message),
        status=status,
        request_id=_find_detail(details, "requestId") or read_request_id(headers) or request_id,
        retry_after=_read_delay(details, headers),
    )


def read_request_id(headers: Mapping[str, str]) -> str | None:
    """The id under which the vendor, or a gateway in front of it, has recorded the request."""
    return headers.get("x-goog-request-id") or headers.get("x-request-id")


def _classify_refusal(
    fields: Json, details: list[Json], status: int | None, message: str
) -> ErrorKind:
    name = read_text(fields.get("status"))
    kind = _KIND_OF_REASON.get(str(_find_detail(details, "reason")))
    if kind is not None:
        return kind
    if _BAD_KEY.search(message):
        return ErrorKind.AUTH
    is_exhausted = name == "RESOURCE_EXHAUSTED" or status == 429
    if status == 402 or (is_exhausted and _NO_CREDIT.search(message)):
        return ErrorKind.BILLING
    if name == "FAILED_PRECONDITION" and _BILLING.search(message):
        return ErrorKind.BILLING
    if _LOCATION.search(message):
        # The fault is where the request comes from. Another vendor may well answer it.
        return ErrorKind.UNAVAILABLE
    if name in _KIND_OF_STATUS:
        return _KIND_OF_STATUS[name]
    return classify_status(status or (400 if name in _REQUEST_FAULTS else 500), message)


def _find_error_object(body: object) -> Json:
    """The error in the forms it comes in: bare, under `error`, or in a list of one."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return {}
    inner = body.get("error", body)
    return inner if isinstance(inner, dict) else {"message": inner}


def _find_detail(details: list[Json], field: str) -> object:
    return next((detail[field] for detail in details if detail.get(field)), None)


def _read_delay(details: list[Json], headers: Mapping[str, str]) -> float | None:
    """The longer of the delays in the header and in the error's RetryInfo."""
    delays = [] if (delay := read_retry_after(headers)) is None else [delay]
    if match := _DELAY.fullmatch(str(_find_detail(details, "retryDelay"))):
        delays.append(min(float(match[1]), MAX_RETRY_AFTER_S))
    return max(delays, default=None)

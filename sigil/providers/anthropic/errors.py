"""What Anthropic's errors mean: https://platform.claude.com/docs/en/api/errors"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sigil.errors import ErrorKind, ProviderError
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.errors import (
    ErrorBody,
    Refusal,
    make_error,
    translate_connection_error,
    translate_other_error,
)
from sigil.providers.shared.http_status import classify_status, read_retry_after
from sigil.providers.shared.json_fields import read_object, read_text

_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
# These say less than the status does.
_VAGUE = frozenset({"invalid_request_error", "api_error"})
# Accounts without money are told so as if the request were wrong.
_BILLING = re.compile(
    r"credit balance|spend(?:ing)?[ _]limit|specified API usage limits", re.IGNORECASE
)


def translate_error(
    error: Exception, endpoint: Endpoint, request_id: str | None = None
) -> ProviderError:
    """Translates whatever was raised. `request_id` is used if the error has none of its own."""
    import anthropic

    if isinstance(error, anthropic.APIConnectionError):
        # The SDK keeps what its HTTP client raised as the cause.
        late = TimeoutError() if isinstance(error, anthropic.APITimeoutError) else error
        return translate_connection_error(error.__cause__ or late, endpoint, request_id)
    if isinstance(error, (anthropic.APIStatusError, Refusal)):
        response = error.response
        return translate_refusal(
            error.body, endpoint, status=response.status_code, headers=response.headers
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
    """Translates an error object. Without a status it came inside a successful response."""
    headers = headers or {}
    outer = read_object(body)
    fields = read_object(outer.get("error"))
    message = read_text(fields.get("message")) or f"an error without a message ({status})"
    kind = _classify_refusal(
        status, read_text(fields.get("type")), f"{message} {fields.get('details') or ''}"
    )
    return make_error(
        endpoint,
        message,
        kind,
        status=status,
        request_id=headers.get("request-id") or request_id or outer.get("request_id"),
        retry_after=read_retry_after(headers),
    )


def _classify_refusal(status: int | None, error_type: str, message: str) -> ErrorKind:
    if status is None or error_type not in _VAGUE:
        status = _STATUS_OF_TYPE.get(error_type, status or 500)
    if status in (400, 403, 429) and _BILLING.search(message):
        return ErrorKind.BILLING
    return classify_status(status, message)

"""What the errors of OpenAI, and of servers that speak its API, mean."""

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
from sigil.providers.shared.json_fields import read_text

# https://platform.openai.com/docs/guides/error-codes, the SDK's `ResponseError`, and what
# compatible servers have been seen to send.
_KIND_OF_CODE = {
    "insufficient_quota": ErrorKind.BILLING,
    "billing_hard_limit_reached": ErrorKind.BILLING,
    "billing_not_active": ErrorKind.BILLING,
    "credit_balance_exhausted": ErrorKind.BILLING,
    "rate_limit_exceeded": ErrorKind.RATE_LIMITED,
    "rate_limit_error": ErrorKind.RATE_LIMITED,
    "overloaded_error": ErrorKind.OVERLOADED,
    "server_is_overloaded": ErrorKind.OVERLOADED,
    "slow_down": ErrorKind.OVERLOADED,
    "invalid_api_key": ErrorKind.AUTH,
    "authentication_error": ErrorKind.AUTH,
    "model_not_found": ErrorKind.UNAVAILABLE,
    "context_length_exceeded": ErrorKind.CONTEXT_TOO_LONG,
    "content_filter": ErrorKind.FILTERED,
    "content_policy_violation": ErrorKind.FILTERED,
    "image_content_policy_violation": ErrorKind.FILTERED,
    "misalignment_policy_violation": ErrorKind.FILTERED,
    "bio_policy": ErrorKind.FILTERED,
}
# Without a status these mean that the request is at fault. Everything else is the server's fault.
_REQUEST_FAULTS = frozenset(
    {
        "invalid_request_error",
        "invalid_prompt",
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "invalid_image_mode",
        "image_too_large",
        "image_too_small",
        "image_parse_error",
        "image_file_too_large",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)
# The SDK hands on what was under `error`, unless there was nothing.
_ERROR_FIELDS = frozenset({"message", "code", "type"})
_ERROR_STATUS = re.compile(r"[45]\d\d", re.ASCII)


def translate_error(
    error: Exception, endpoint: Endpoint, request_id: str | None = None
) -> ProviderError:
    """Translates whatever was raised. `request_id` is used if the error has none of its own."""
    import openai

    if isinstance(error, openai.APIConnectionError):
        # The SDK keeps what its HTTP client raised as the cause.
        late = TimeoutError() if isinstance(error, openai.APITimeoutError) else error
        return translate_connection_error(error.__cause__ or late, endpoint, request_id)
    if isinstance(error, (openai.APIStatusError, Refusal)):
        response, body = error.response, error.body
        if isinstance(error, Refusal) and isinstance(body, dict):
            body = body.get("error", body)  # as the SDK does
        return translate_refusal(
            body,
            endpoint,
            status=response.status_code,
            headers=response.headers,
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
    """Translates an error object, bare or under `error`. Without a status it came inside a
    successful response; some servers then say in `code` which HTTP status it would have had."""
    headers = headers or {}
    inner = body
    if isinstance(body, dict) and body.keys().isdisjoint(_ERROR_FIELDS):
        inner = body.get("error") or body
    fields = inner if isinstance(inner, dict) else {"message": inner}
    message = read_text(fields.get("message")) or f"an error without a message ({status})"
    codes = [str(fields[name]) for name in ("code", "type") if fields.get(name) is not None]
    status = status or next((int(code) for code in codes if _ERROR_STATUS.fullmatch(code)), None)
    kind = next((_KIND_OF_CODE[code] for code in codes if code in _KIND_OF_CODE), None)
    if kind is None:
        default = 500 if _REQUEST_FAULTS.isdisjoint(codes) else 400
        kind = classify_status(status or default, message)
    return make_error(
        endpoint,
        message,
        kind,
        status=status,
        request_id=headers.get("x-request-id") or request_id,
        retry_after=read_retry_after(headers),
    )

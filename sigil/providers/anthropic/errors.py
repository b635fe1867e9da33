"""What Anthropic's errors mean: https://platform.claude.com/docs/en/api/errors"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sigil.errors import ErrorKind, ProviderError
from sigil.providers.shared.vendor import failed, kind_of, retry_after

_STATUS_OF = {
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
# Accounts that have no money left are told so as if the request were wrong.
_BILLING = re.compile(
    r"credit balance|spend(?:ing)?[ _]limit|specified API usage limits", re.IGNORECASE
)


def refusal(
    provider: str,
    key: str,
    body: object,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: object = None,
) -> ProviderError:
    """The error that an error object is; without a status it came in the middle of a success."""
    outer = body if isinstance(body, dict) else {}
    inner = outer.get("error")
    fields = inner if isinstance(inner, dict) else {}
    word, said = fields.get("type"), fields.get("message")
    message = said if isinstance(said, str) and said else f"an error without a message ({status})"
    word = word if isinstance(word, str) else ""
    headers = headers or {}
    return failed(
        provider,
        key,
        _kind(status, word, f"{message} {fields.get('details') or ''}"),
        message,
        status=status,
        request_id=headers.get("request-id") or request_id or outer.get("request_id"),
        wait=retry_after(headers),
    )


def _kind(status: int | None, word: str, words: str) -> ErrorKind:
    if status is None or word not in _VAGUE:
        status = _STATUS_OF.get(word, status or 500)
    if status in (400, 403, 429) and _BILLING.search(words):
        return ErrorKind.BILLING
    return kind_of(status, words)

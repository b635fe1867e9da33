"""What goes wrong with OpenAI and servers that speak its API, in Sigil's terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from sigil.errors import ErrorKind, ProviderError
from sigil.http.transport import is_sent
from sigil.providers.shared.vendor import NO_KEY, failed, kind_of, retry_after

if TYPE_CHECKING:
    from httpx2 import Response

# https://platform.openai.com/docs/guides/error-codes, the SDK's `ResponseError`, and what
# compatible servers were seen with.
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
# Without a status these name a request that is at fault; all else is the server's fault.
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
# A header's value that is shorter is a word, and may stand in any message.
_SHORTEST_SECRET = 8


class ErrorBody(Exception):
    """An error object where an answer was due, under a status of success."""

    def __init__(self, body: object) -> None:
        super().__init__()
        self.body = body


class Translator:
    """Turns what the SDK raises for one account into `ProviderError`, without its secrets.

    The original is never kept as the cause: it holds the request with its key, and a vendor's
    text that may quote it.
    """

    def __init__(self, name: str, host: str, key: SecretStr, others: Iterable[SecretStr]) -> None:
        self._name = name
        self._host = host
        self._key = key
        self._others = tuple(others)

    def __call__(self, error: Exception, request_id: str | None) -> ProviderError:
        """The class of whatever was raised."""
        import httpx2
        import openai

        if isinstance(error, ProviderError):
            return error
        cause = error.__cause__ or error
        reached = is_sent(cause)
        if isinstance(error, (openai.APITimeoutError, httpx2.TimeoutException, TimeoutError)):
            message = f"{self._host} did not answer"
            return self.failed(ErrorKind.TIMEOUT, message, request_id, reached=reached)
        if isinstance(error, httpx2.DecodingError) or isinstance(cause, httpx2.DecodingError):
            return self.failed(ErrorKind.SERVER, "the answer is malformed", request_id)
        if isinstance(error, (openai.APIConnectionError, httpx2.HTTPError)):
            message = f"the connection to {self._host} failed ({type(cause).__name__})"
            return self.failed(ErrorKind.NETWORK, message, request_id, reached=reached)
        if isinstance(error, openai.APIStatusError):
            return self._refused(error.body, error.message, request_id, error.response)
        if isinstance(error, openai.APIError):
            return self._refused(error.body, error.message, request_id)
        if isinstance(error, ErrorBody):
            return self._refused(error.body, "the answer is an error", request_id)
        message = f"the answer is malformed ({type(error).__name__})"
        return self.failed(ErrorKind.SERVER, message, request_id)

    def failed(
        self,
        kind: ErrorKind,
        message: str,
        request_id: object = None,
        *,
        status: int | None = None,
        wait: float | None = None,
        reached: bool = True,
    ) -> ProviderError:
        """An error of this provider; `wait` is in seconds."""
        key = self._key.get_secret_value()
        for other in self._others:
            secret = other.get_secret_value()
            if len(secret) >= _SHORTEST_SECRET:
                message = message.replace(secret, "[secret]")
        return failed(
            self._name,
            "" if key == NO_KEY else key,
            kind,
            message,
            status=status,
            request_id=request_id,
            wait=wait,
            reached=reached,
        )

    def _refused(
        self,
        body: object,
        message: str,
        request_id: str | None,
        response: Response | None = None,
    ) -> ProviderError:
        """What an error object means; without a response it came in the middle of a success."""
        fields = body if isinstance(body, dict) else {"message": body}
        said = fields.get("message")
        message = said if isinstance(said, str) and said else message
        words = [str(fields[key]) for key in ("code", "type") if fields.get(key) is not None]
        status = None if response is None else response.status_code
        status = status or next((int(word) for word in words if _is_status(word)), None)
        kind = next((_KIND_OF_CODE[word] for word in words if word in _KIND_OF_CODE), None)
        if kind is None:
            assumed = 500 if _REQUEST_FAULTS.isdisjoint(words) else 400
            kind = kind_of(status or assumed, message)
        headers: Mapping[str, str] = {} if response is None else response.headers
        return self.failed(
            kind,
            message,
            headers.get("x-request-id") or request_id,
            status=status,
            wait=retry_after(headers),
        )


def _is_status(word: str) -> bool:
    return len(word) == 3 and word.isascii() and word.isdigit() and word[0] in "45"

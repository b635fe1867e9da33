"""What goes wrong with a vendor, as a `ProviderError`.

Each vendor's `errors.translate_error` knows the exceptions of its SDK and the vendor's error
objects. What they share is here: the errors of the connection, and the one way to make a
`ProviderError`. An original error is never kept as the cause, because it holds the request with
its key, and perhaps a vendor's text that quotes the key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sigil.errors import ErrorKind, ProviderError
from sigil.http.transport import is_connect_failure
from sigil.providers.shared.endpoint import Endpoint
from sigil.providers.shared.redaction import redact

if TYPE_CHECKING:
    import httpx2

_MAX_REQUEST_ID = 128


class CannotSend(Exception):
    """A request cannot be put into the vendor's form, so it was not sent."""

    def __init__(self, message: str, kind: ErrorKind = ErrorKind.INVALID_REQUEST) -> None:
        super().__init__(message)
        self.kind = kind


class ErrorBody(Exception):
    """The vendor sent an error object instead of an answer, under a status of success."""

    def __init__(self, body: object) -> None:
        super().__init__()
        self.body = body


class NotSent(Exception):
    """There is no response to a request; the cause says why."""


class Refusal(Exception):
    """The vendor answered with a status that is none of success. It has the two attributes of the
    SDKs' errors of that kind: `body` is the JSON in the response, or its text."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__()
        self.response = response
        self.body: object = response.text.strip()
        try:
            self.body = json.loads(response.text)
        except (ValueError, RecursionError):
            pass


def make_error(
    endpoint: Endpoint,
    message: str,
    kind: ErrorKind = ErrorKind.SERVER,
    *,
    status: int | None = None,
    request_id: object = None,
    retry_after: float | None = None,
    reached: bool = True,
) -> ProviderError:
    """The error of a provider, without its secrets. `retry_after` is in seconds.

    `message` and `request_id` may come from the vendor and hold anything.
    """
    secrets = endpoint.list_secrets()
    has_id = isinstance(request_id, str) and bool(request_id)
    return ProviderError(
        f"{endpoint.provider}: {redact(message, *secrets).rstrip('.')}.",
        kind=kind,
        provider=endpoint.provider,
        status=status,
        request_id=redact(str(request_id), *secrets)[:_MAX_REQUEST_ID] if has_id else None,
        retry_after=retry_after,
        reached=reached,
        hint=f"Check providers.{endpoint.provider}.api_key." if kind is ErrorKind.AUTH else None,
    )


def translate_connection_error(
    error: BaseException, endpoint: Endpoint, request_id: str | None
) -> ProviderError:
    """What the HTTP client raised, in Sigil's terms. SDKs keep it as the cause of their own."""
    import httpx2

    if isinstance(error, httpx2.DecodingError):
        return make_error(
            endpoint, f"the answer is malformed ({type(error).__name__})", request_id=request_id
        )
    if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
        message, kind = f"{endpoint.host} did not answer", ErrorKind.TIMEOUT
    else:
        message = f"the connection to {endpoint.host} failed ({type(error).__name__})"
        kind = ErrorKind.NETWORK
    reached = not is_connect_failure(error)
    return make_error(endpoint, message, kind, request_id=request_id, reached=reached)


def translate_other_error(
    error: Exception, endpoint: Endpoint, request_id: str | None
) -> ProviderError:
    """Translates what no SDK raised: our own errors, those of the connection while an answer is
    read, and everything else that a malformed answer may lead to."""
    import httpx2

    if isinstance(error, ProviderError):
        return error
    if isinstance(error, CannotSend):
        return make_error(endpoint, str(error), error.kind, reached=False)
    if isinstance(error, NotSent) and error.__cause__ is not None:
        return translate_connection_error(error.__cause__, endpoint, request_id)
    if isinstance(error, (OSError, httpx2.HTTPError)):
        return translate_connection_error(error, endpoint, request_id)
    message = f"the answer is malformed ({type(error).__name__})"
    return make_error(endpoint, message, request_id=request_id)

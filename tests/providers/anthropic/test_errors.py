"""The class of what Anthropic refuses."""

from __future__ import annotations

import pytest

from sigil.errors import ErrorKind
from sigil.providers.anthropic import AnthropicProvider
from tests.providers.anthropic.calls import collect_error
from tests.providers.anthropic.replies import event, refusal, start, stop
from tests.providers.anthropic.server import REQUEST_ID, AnthropicServer
from tests.providers.loopback import event_stream


@pytest.mark.parametrize(
    ("code", "word", "message", "kind"),
    [
        (400, "invalid_request_error", "max_tokens: too big", ErrorKind.INVALID_REQUEST),
        (400, "invalid_request_error", "Your credit balance is too low.", ErrorKind.BILLING),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits.",
            ErrorKind.BILLING,
        ),
        (400, "invalid_request_error", "prompt is too long: 9 > 8", ErrorKind.CONTEXT_TOO_LONG),
        (
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy",
            ErrorKind.FILTERED,
        ),
        (500, "overloaded_error", "Overloaded", ErrorKind.OVERLOADED),
        (529, "api_error", "No.", ErrorKind.OVERLOADED),
    ],
)
async def test_refusals_have_their_class(
    server: AnthropicServer,
    provider: AnthropicProvider,
    code: int,
    word: str,
    message: str,
    kind: ErrorKind,
) -> None:
    server.replies = [refusal(code, word, message)]
    error = await collect_error(provider)
    assert (error.kind, error.status, error.request_id) == (kind, code, REQUEST_ID)
    assert message.rstrip(".") in str(error)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("overloaded_error", ErrorKind.OVERLOADED),
        ("rate_limit_error", ErrorKind.RATE_LIMITED),
        ("api_error", ErrorKind.SERVER),
        ("authentication_error", ErrorKind.AUTH),
        ("permission_error", ErrorKind.AUTH),
        ("billing_error", ErrorKind.BILLING),
        ("invalid_request_error", ErrorKind.INVALID_REQUEST),
        ("not_found_error", ErrorKind.UNAVAILABLE),
        ("request_too_large", ErrorKind.CONTEXT_TOO_LONG),
        ("timeout_error", ErrorKind.TIMEOUT),
        ("of_a_later_version", ErrorKind.SERVER),
        (7, ErrorKind.SERVER),
    ],
)
async def test_an_error_in_the_stream_has_its_class(
    server: AnthropicServer, provider: AnthropicProvider, word: object, kind: ErrorKind
) -> None:
    server.replies = [event_stream(start(), event("error", error={"type": word, "message": "No."}))]
    error = await collect_error(provider)
    assert (error.kind, error.status, error.request_id) == (kind, None, REQUEST_ID)


async def test_an_error_with_a_status_of_success_has_its_class(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    server.replies = [refusal(200, "overloaded_error")]
    for stream in (True, False):
        assert (await collect_error(provider, stream=stream)).kind is ErrorKind.OVERLOADED


async def test_a_refusal_is_filtered_and_says_why(
    server: AnthropicServer, provider: AnthropicProvider
) -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Too risky"}
    server.replies = [event_stream(start(), stop("refusal", stop_details=details))]
    error = await collect_error(provider)
    assert error.kind is ErrorKind.FILTERED
    assert "Too risky" in str(error)
    assert error.request_id == REQUEST_ID

"""What a status means, with the words beside it, and how long it asks to wait."""

from __future__ import annotations

import pytest

from sigil.errors import ErrorKind
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_error
from tests.providers.openai.chat.replies import refusal
from tests.providers.openai.server import OpenAIServer


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "temperature is too high", ErrorKind.INVALID_REQUEST),
        (400, "This model's maximum context length is 8192", ErrorKind.CONTEXT_TOO_LONG),
        (400, "prompt is too long", ErrorKind.CONTEXT_TOO_LONG),
        (400, "Blocked by the content policy.", ErrorKind.FILTERED),
        (401, "Bad key", ErrorKind.AUTH),
        (402, "Pay first", ErrorKind.BILLING),
        (403, "Not in your country", ErrorKind.AUTH),
        (403, "Your input was flagged", ErrorKind.FILTERED),
        (404, "No such model", ErrorKind.UNAVAILABLE),
        (408, "Too slow", ErrorKind.TIMEOUT),
        (413, "Too large", ErrorKind.CONTEXT_TOO_LONG),
        (422, "messages is missing", ErrorKind.INVALID_REQUEST),
        (429, "Slow down", ErrorKind.RATE_LIMITED),
        (500, "Oh no", ErrorKind.SERVER),
        (502, "Oh no", ErrorKind.SERVER),
        (503, "Busy", ErrorKind.OVERLOADED),
        (504, "Too late", ErrorKind.TIMEOUT),
        (529, "Busy", ErrorKind.OVERLOADED),
    ],
)
async def test_a_refusal_has_the_class_of_its_status_and_words(
    server: OpenAIServer, provider: OpenAIProvider, status: int, message: str, kind: ErrorKind
) -> None:
    server.reply = refusal(status, None, message)
    error = await collect_error(provider)
    assert (error.kind, error.status) == (kind, status)
    assert message.rstrip(".") in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("12.5", 12.5),
        ("9" * 400, 86400.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2065 07:28:00 GMT", 86400.0),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2030 00:00:00 +99999", None),
        ("soon", None),
        ("1.2.3", None),
        ("-5", None),
        ("", None),
    ],
)
async def test_a_wait_is_read_in_seconds_or_as_a_date(
    server: OpenAIServer, provider: OpenAIProvider, value: str, seconds: float | None
) -> None:
    server.reply = refusal(429, None, "Slow down", retry_after=value)
    assert (await collect_error(provider)).retry_after == seconds


@pytest.mark.parametrize(
    ("value", "seconds"), [("1500", 1.5), ("nan", None), ("inf", 86400.0), ("-1", 0.0), ("x", None)]
)
async def test_a_wait_in_milliseconds_comes_first(
    server: OpenAIServer, provider: OpenAIProvider, value: str, seconds: float | None
) -> None:
    server.reply = refusal(429, None, "Slow down", retry_after_ms=value, retry_after="7")
    assert (await collect_error(provider)).retry_after == seconds

"""What an error may show of a vendor's words."""

from __future__ import annotations

import logging

import pytest

from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_error
from tests.providers.openai.chat.replies import refusal
from tests.providers.openai.server import KEY, OpenAIServer


async def test_a_vendors_words_drive_no_terminal(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    words = "\x1b[31mred\x1b]0;owned\x07 \u202eback\u202c \x9b2J\r\n\u2028 end"
    server.reply = refusal(400, None, words)
    assert "[31mred]0;owned back 2J end" in str(await collect_error(provider))


async def test_the_key_is_shown_nowhere(
    server: OpenAIServer, provider: OpenAIProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    other = "sk-proj-another_Key-1234567890"
    server.reply = refusal(
        401, None, f"Incorrect key: {KEY}, Bearer {KEY} or {other}.\n" + "x" * 9999
    )
    error = await collect_error(provider)
    shown = (
        f"{error} {error!r} {error.__cause__!r} {error.__context__!r} {provider!r} {vars(provider)}"
    )
    for secret in (KEY, other):
        assert secret not in shown
        assert secret not in caplog.text
    assert len(str(error)) < 700
    assert "providers.openai.api_key" in str(error)

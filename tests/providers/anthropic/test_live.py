"""Against Anthropic itself, when a key is at hand."""

from __future__ import annotations

import os

import pytest

from sigil.providers import ChatRequest, EventType, Message, ToolDefinition
from sigil.providers.anthropic import AnthropicProvider

KEY = os.environ.get("ANTHROPIC_API_KEY", "")
MODEL = os.environ.get("SIGIL_LIVE_ANTHROPIC_MODEL", "claude-haiku-5-5")

pytestmark = [
    pytest.mark.live,
    pytest.mark.enable_socket,
    pytest.mark.skipif(not KEY, reason="ANTHROPIC_API_KEY is not set"),
]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_tool_is_called_and_its_result_is_understood(stream: bool) -> None:
    provider = AnthropicProvider(api_key=KEY)
    tool = ToolDefinition(
        "secret.number",
        "Tells the secret number.",
        {"type": "object", "properties": {}, "additionalProperties": False},
    )
    asked = Message("user", "Use the tool, then tell me the secret number in digits.")
    request = ChatRequest(MODEL, [asked], tools=(tool,), max_tokens=2048, stream=stream)
    try:
        events = [event async for event in provider.chat(request)]
        calls = tuple(event.tool_call for event in events if event.tool_call)
        done = events[-1]
        assert (done.type, done.stop_reason) == (EventType.DONE, "tool_calls"), done.error
        assert [call.name for call in calls] == ["secret.number"]
        turn = [
            asked,
            Message("assistant", "", tool_calls=calls, native=done.native),
            Message("tool", "4711", tool_call_id=calls[0].id),
        ]
        again = ChatRequest(MODEL, turn, tools=(tool,), max_tokens=2048, stream=stream)
        events = [event async for event in provider.chat(again)]
        assert "4711" in "".join(event.text for event in events)
        assert any(event.usage and event.usage.input_tokens > 0 for event in events)
        assert MODEL in {info.id for info in await provider.refresh_models()}
    finally:
        await provider.aclose()

from __future__ import annotations

import os

import pytest

from sigil.messages.conversation import Message, ToolDefinition
from sigil.providers import EventType
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_events, join_text

ADD = ToolDefinition(
    "math.add",
    "Adds two numbers",
    {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
)
MODEL = os.environ.get("SIGIL_LIVE_OPENAI_MODEL", "gpt-5.4-mini")
# Chat completions of the same models refuse tools unless they do not think.
OPTIONS = {"chat": {"api": "chat", "reasoning_effort": "none"}, "responses": {}}

pytestmark = [
    pytest.mark.live,
    pytest.mark.enable_socket,
    pytest.mark.skipif(not os.environ.get("OPENAI_API_KEY"), reason="OPENAI_API_KEY is not set"),
]


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_tool_goes_both_ways(api: str, stream: bool) -> None:
    provider = OpenAIProvider(api_key=os.environ["OPENAI_API_KEY"], **OPTIONS[api])
    asking = [Message("user", "Add 20260 and 1977 with the tool, then say only the sum.")]
    fields = {"model": MODEL, "max_tokens": 2000, "tools": (ADD,), "stream": stream}
    try:
        events = await collect_events(provider, messages=asking, **fields)
        assert events[-1].type is EventType.DONE, events[-1].error
        assert any(event.usage and event.usage.total_tokens for event in events)
        calls = tuple(event.tool_call for event in events if event.tool_call)
        assert [call.name for call in calls] == ["math.add"]
        answer_message = Message(
            "assistant", join_text(events), tool_calls=calls, native=events[-1].native
        )
        result = Message("tool", "22237", tool_call_id=calls[0].id)
        events = await collect_events(
            provider, messages=[*asking, answer_message, result], **fields
        )
        assert events[-1].type is EventType.DONE, events[-1].error
        assert "22237" in join_text(events).replace(",", "")
    finally:
        await provider.aclose()


async def test_the_models_are_listed() -> None:
    provider = OpenAIProvider(api_key=os.environ["OPENAI_API_KEY"])
    try:
        assert any(info.tools for info in await provider.refresh_models())
    finally:
        await provider.aclose()

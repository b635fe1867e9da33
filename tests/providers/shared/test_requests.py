"""What is sent of what models, tools and plug-ins may have made of a conversation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sigil.errors import ErrorKind
from sigil.providers import EventType, Message, ToolCall, ToolDefinition
from sigil.providers.openai import OpenAIProvider
from tests.providers.calls import collect_error, collect_events
from tests.providers.openai.server import OpenAIServer

HALF = "half \ud83d of a pair"


def talk_with_a_tool(arguments: dict[Any, Any], result: str = "done") -> tuple[Message, ...]:
    return (
        Message("user", "Hello"),
        Message("assistant", "", (ToolCall("call_1", "look", arguments),)),
        Message("tool", result, tool_call_id="call_1"),
    )


def nest(depth: int) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for _ in range(depth):
        nested = {"in": nested}
    return nested


@pytest.mark.parametrize(
    "messages",
    [
        (Message("user", HALF),),
        (Message("user", "Hello"), Message("assistant", HALF), Message("user", "?")),
        talk_with_a_tool({"text": HALF, HALF: [HALF]}),
        talk_with_a_tool({}, HALF),
    ],
    ids=["words", "answer", "arguments", "result"],
)
async def test_half_a_surrogate_pair_is_replaced(
    server: OpenAIServer, provider: OpenAIProvider, messages: tuple[Message, ...]
) -> None:
    tools = (ToolDefinition("look", HALF),)
    events = await collect_events(provider, *messages, tools=tools, system_prompt=HALF)
    assert events[-1].type is EventType.DONE
    shown = json.dumps(server.requests[-1], ensure_ascii=False)
    assert "half \ufffd of a pair" in shown
    assert "\ud83d" not in shown


async def test_numbers_that_json_does_not_have_are_left_out(
    server: OpenAIServer, provider: OpenAIProvider
) -> None:
    messages = talk_with_a_tool({"at": float("nan"), "to": float("inf")})
    await collect_events(provider, *messages)
    shown = json.dumps(server.requests[-1])
    assert "NaN" not in shown
    assert "Infinity" not in shown


@pytest.mark.parametrize(
    "arguments", [{"data": b"x"}, {"set": {1}}, nest(10_000)], ids=["bytes", "a set", "too deep"]
)
async def test_a_request_that_cannot_be_written_is_at_fault_itself(
    server: OpenAIServer, provider: OpenAIProvider, arguments: dict[str, Any]
) -> None:
    error = await collect_error(provider, *talk_with_a_tool(arguments))
    assert (error.kind, error.reached) == (ErrorKind.INVALID_REQUEST, False)
    assert server.requests == []
    assert (await collect_events(provider))[-1].type is EventType.DONE, "nothing stays behind"

"""How the suites call a provider, and what they read from its events."""

from __future__ import annotations

import asyncio
from typing import Any

from sigil.errors import ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message, Provider, ToolCall

PATIENCE = 30.0
"""Seconds after which a call is taken to hang, however busy the machine."""


def make_request(*messages: Message, **fields: Any) -> ChatRequest:
    """A request that says hello to the model `m`, but for what is given."""
    fields.setdefault("model", "m")
    fields.setdefault("messages", messages or (Message("user", "Hello"),))
    return ChatRequest(**fields)


async def collect_events(provider: Provider, *messages: Message, **fields: Any) -> list[ChatEvent]:
    """All events of one call, of which the last must be its only end."""
    request = make_request(*messages, **fields)
    async with asyncio.timeout(PATIENCE):
        events = [event async for event in provider.chat(request)]
    ends = [event for event in events if event.type in (EventType.DONE, EventType.ERROR)]
    assert ends == events[-1:]
    return events


async def collect_error(provider: Provider, *messages: Message, **fields: Any) -> ProviderError:
    """The error that ends one call."""
    error = (await collect_events(provider, *messages, **fields))[-1].error
    assert error is not None
    return error


def join_text(events: list[ChatEvent]) -> str:
    """The text of an answer."""
    return "".join(event.text for event in events)


def tool_calls_in(events: list[ChatEvent]) -> tuple[ToolCall, ...]:
    """The tool calls of an answer."""
    return tuple(event.tool_call for event in events if event.tool_call is not None)

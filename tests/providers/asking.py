from __future__ import annotations

from sigil.errors import ProviderError
from sigil.providers import ChatEvent, ChatRequest, EventType, Message
from sigil.providers.base import Provider


def asked(**fields: object) -> ChatRequest:
    fields.setdefault("model", "m")
    fields.setdefault("messages", [Message(role="user", content="Hello")])
    return ChatRequest(**fields)


async def collected(provider: Provider, **fields: object) -> list[ChatEvent]:
    return [event async for event in provider.chat(asked(**fields))]


async def failure(provider: Provider, **fields: object) -> ProviderError:
    """The error of a call, which must be its last event, and its only end."""
    events = await collected(provider, **fields)
    ends = [event for event in events if event.type in (EventType.DONE, EventType.ERROR)]
    assert ends == events[-1:]
    assert ends[0].error is not None
    return ends[0].error


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events)

"""Guards against providers that break the protocol: plug-ins may be written without types.

A turn goes on with the next model whatever a plug-in does, and nothing of a foreign exception's
text is shown, since it may quote a key or a message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from sigil.errors import ErrorKind, ProviderError, SigilError
from sigil.messages.conversation import ToolCall, Usage
from sigil.providers.base import ChatEvent, EventType


def describe_error(error: BaseException) -> str:
    """What may be shown of an error: Sigil's own text, but only the class of a foreign one."""
    return str(error) if isinstance(error, SigilError) else type(error).__name__


def is_valid_error(error: Any) -> bool:
    """Whether it is a `ProviderError` of a class that the policy knows."""
    return isinstance(error, ProviderError) and isinstance(error.kind, ErrorKind)


def is_valid_event(event: Any) -> bool:
    """Whether it is an event that has what its type promises."""
    if not isinstance(event, ChatEvent) or not isinstance(event.type, EventType):
        return False
    has_content = _CONTENT_CHECKS.get(event.type)
    return has_content is None or has_content(event)


def _is_tool_call(call: Any) -> bool:
    if not isinstance(call, ToolCall):
        return False
    fields: list[Any] = [call.id, call.name, call.arguments]
    return all(map(isinstance, fields, (str, str, Mapping)))


_COUNTS = [count.name for count in fields(Usage)]


def _is_usage(usage: Any) -> bool:
    if not isinstance(usage, Usage):
        return False
    return all(isinstance(getattr(usage, count), int) for count in _COUNTS)


_CONTENT_CHECKS: Mapping[EventType, Callable[[Any], bool]] = {
    EventType.TEXT_DELTA: lambda event: isinstance(event.text, str),
    EventType.TOOL_CALL: lambda event: _is_tool_call(event.tool_call),
    EventType.USAGE: lambda event: _is_usage(event.usage),
    EventType.ERROR: lambda event: event.error is None or is_valid_error(event.error),
}

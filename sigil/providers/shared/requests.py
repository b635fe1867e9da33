"""Requests that can be written as JSON in UTF-8.

A model or a tool may have written half of a surrogate pair or a number that JSON does not have.
Left in the history, it would keep the conversation from ever being sent again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sigil.messages.conversation import Message
from sigil.messages.exchange import clean as clean_text
from sigil.providers.base import ChatRequest
from sigil.providers.shared.errors import CannotSend


def clean_request(request: ChatRequest) -> ChatRequest:
    """The request with everything replaced that cannot be written. Raises `CannotSend` for values
    that JSON has no form for at all."""
    prompt = request.system_prompt
    try:
        return replace(
            request,
            system_prompt=None if prompt is None else clean_text(prompt),
            messages=tuple(map(_clean_message, request.messages)),
            tools=tuple(
                replace(
                    tool,
                    description=clean_text(tool.description),
                    parameters=_clean_value(tool.parameters),
                )
                for tool in request.tools
            ),
        )
    except (AttributeError, TypeError, RecursionError) as error:
        cause = type(error).__name__
    raise CannotSend(f"the request cannot be written ({cause})")


def _clean_message(message: Message) -> Message:
    native = message.native
    return replace(
        message,
        content=clean_text(message.content),
        tool_calls=tuple(
            replace(call, arguments=_clean_value(call.arguments)) for call in message.tool_calls
        ),
        native=None if native is None else replace(native, content=clean_text(native.content)),
    )


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean_text(str(name)): _clean_value(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean_value(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # as JavaScript writes it
    if value is None or isinstance(value, (int, float)):
        return value
    raise TypeError(type(value).__name__)

"""Makes of a turn's request what one model can take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sigil.conversation import Message, Size, ToolDefinition, window
from sigil.providers.base import ChatRequest, ModelInfo

# On the careful side: English has about four bytes a token, other scripts about three.
BYTES_PER_TOKEN = 3
# Vendors scale pictures down to about this many tokens each.
TOKENS_PER_IMAGE = 1_600
TOKENS_PER_MESSAGE = 8

BLIND_TEXT = "(a picture that this model cannot see)"


def adapt(request: ChatRequest, info: ModelInfo) -> ChatRequest:
    """The request without what the model cannot do, and within its limits.

    Pictures become a note, tools and their calls become text, the answer's bound is lowered to
    the model's, and the oldest messages are left out until the rest fits its context. What is to
    be answered stays whole, the newest question and the newest results of tools: if they alone
    are too long, the vendor says so and a model with a larger context may answer.
    """
    messages = list(request.messages)
    if not info.vision:
        messages = [_blind(message) for message in messages]
    # An answer may take half of a small context at most.
    max_tokens = min(request.max_tokens, info.max_output_tokens, info.max_context_tokens // 2)
    request = replace(
        request,
        tools=request.tools if info.tools else (),
        max_tokens=max(1, max_tokens),
        stream=request.stream and info.streaming,
    )
    room = info.max_context_tokens - request.max_tokens - _overhead(request)
    if info.tools:
        return replace(request, messages=tuple(_fitted(messages, room, _tokens)))
    # Told only when it is settled what is left out: results look like questions then.
    fitted = _fitted(messages, room, lambda unit: _tokens(map(_told, unit)))
    return replace(request, messages=tuple(map(_told, fitted)))


def likely_tokens(request: ChatRequest, said: int) -> tuple[int, int]:
    """About how many tokens a request has, and an answer of so many bytes."""
    return _overhead(request) + _tokens(request.messages), -(-said // BYTES_PER_TOKEN)


def _fitted(messages: Sequence[Message], room: int, size: Size) -> list[Message]:
    if size(messages) <= room:
        return list(messages)
    fitting = window(messages, room, size)
    if fitting[-1:] == list(messages[-1:]):
        return fitting
    # In front of results that do not fit stands the question, whatever their size.
    least = 1 if messages[-1].role == "user" else 2
    return window(messages, least, lambda _: 1) or list(messages[-1:])


def _overhead(request: ChatRequest) -> int:
    return _text_tokens(request.system_prompt or "") + sum(map(_tool_tokens, request.tools))


def _tool_tokens(tool: ToolDefinition) -> int:
    return _text_tokens(tool.name + tool.description + json.dumps(dict(tool.parameters)))


def _tokens(messages: Iterable[Message]) -> int:
    return sum(
        TOKENS_PER_MESSAGE
        + _text_tokens(message.content)
        + TOKENS_PER_IMAGE * len(message.images)
        + sum(
            _text_tokens(call.name + json.dumps(dict(call.arguments)))
            for call in message.tool_calls
        )
        for message in messages
    )


def _text_tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def _blind(message: Message) -> Message:
    if not message.images:
        return message
    notes = "\n".join([BLIND_TEXT] * len(message.images))
    return replace(message, images=(), content=f"{message.content}\n{notes}".strip())


def _told(message: Message) -> Message:
    """A tool's call or result in words, for a model that knows no tools."""
    if message.role == "tool":
        return Message(role="user", content=f"(a tool's result) {message.content}")
    if not message.tool_calls:
        return message
    calls = [f"(called {c.name} with {json.dumps(dict(c.arguments))})" for c in message.tool_calls]
    return Message(role="assistant", content="\n".join(filter(None, [message.content, *calls])))

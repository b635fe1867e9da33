"""Adapts a turn's request to what one model accepts.

A turn's request is written for the best model. Each candidate of the chain gets its own copy, so
that the same conversation can go on with a model that has no tools, no eyes or a small context.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sigil.messages.conversation import Message, Size, ToolDefinition, window
from sigil.providers.base import ChatRequest, ModelInfo

# A careful guess: English text has about four bytes a token, other scripts about three. Money needs
# more than a guess; what no call can exceed is in `sigil.money.worst_case`.
BYTES_PER_TOKEN = 3
# Vendors scale pictures down to about this many tokens each.
TOKENS_PER_IMAGE = 1_600
# A page has about a thousand, its picture included; most PDFs that people send are short.
TOKENS_PER_DOCUMENT = 16_000
TOKENS_PER_MESSAGE = 8

BLIND_TEXT = "(a picture that this model cannot see)"
UNREAD_TEXT = "(the document {name}, which this model cannot read)"


def adapt(request: ChatRequest, info: ModelInfo) -> ChatRequest:
    """Returns the request without what the model cannot do, and within its limits.

    Pictures and documents become notes, tools and their calls become text, the answer's limit is
    lowered to the model's, and the oldest messages are left out until the rest fits its context.
    The newest question and the newest results of tools stay whole, since they are what is to be
    answered. If they alone are too long, the vendor says so, and a model with a larger context may
    answer.
    """
    messages = list(request.messages)
    if not (info.vision and info.documents):
        messages = [_note_files(message, info) for message in messages]
    # An answer may take half of a small context at most.
    max_tokens = min(request.max_tokens, info.max_output_tokens, info.max_context_tokens // 2)
    max_tokens = max(1, max_tokens)
    tools = request.tools if info.tools else ()
    room = info.max_context_tokens - max_tokens - _estimate_overhead(request.system_prompt, tools)
    if info.tools:
        messages = _fit(messages, room, _estimate_messages)
    else:
        # Tools become text only after it is settled which messages stay: as text, a tool's result
        # has the role of a question, and a window might begin with it.
        messages = [_describe_tools(each) for each in _fit(messages, room, _estimate_as_text)]
    return replace(
        request,
        messages=tuple(messages),
        tools=tools,
        max_tokens=max_tokens,
        stream=request.stream and info.streaming,
    )


def estimate_tokens(request: ChatRequest, said: int) -> tuple[int, int]:
    """Estimates the tokens of a request, and of an answer of `said` bytes."""
    overhead = _estimate_overhead(request.system_prompt, request.tools)
    read = overhead + _estimate_messages(request.messages)
    return read, -(-said // BYTES_PER_TOKEN)


def _fit(messages: Sequence[Message], room: int, size: Size) -> list[Message]:
    if size(messages) <= room:
        return list(messages)
    fitting = window(messages, room, size)
    if fitting[-1:] == list(messages[-1:]):
        return fitting
    # The newest message alone is too long. It stays, and so does the question before it if it is
    # a tool's result.
    least = 1 if messages[-1].role == "user" else 2
    return window(messages, least, lambda _: 1) or list(messages[-1:])


def _estimate_overhead(system_prompt: str | None, tools: Iterable[ToolDefinition]) -> int:
    """Tokens of everything but the messages."""
    tokens = _estimate_text(system_prompt or "")
    for tool in tools:
        tokens += _estimate_text(tool.name + tool.description + json.dumps(dict(tool.parameters)))
    return tokens


def _estimate_messages(messages: Iterable[Message]) -> int:
    tokens = 0
    for message in messages:
        tokens += TOKENS_PER_MESSAGE + _estimate_text(message.content)
        tokens += TOKENS_PER_IMAGE * len(message.images)
        tokens += TOKENS_PER_DOCUMENT * len(message.documents)
        for call in message.tool_calls:
            tokens += _estimate_text(call.name + json.dumps(dict(call.arguments)))
    return tokens


def _estimate_as_text(messages: Iterable[Message]) -> int:
    """The tokens of messages for a model without tools."""
    return _estimate_messages(map(_describe_tools, messages))


def _estimate_text(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def _note_files(message: Message, info: ModelInfo) -> Message:
    """Puts a note in the place of each picture and document that the model does not take."""
    images, documents, notes = message.images, message.documents, [message.content]
    if not info.vision:
        notes += [BLIND_TEXT] * len(images)
        images = ()
    if not info.documents:
        notes += [UNREAD_TEXT.format(name=document.name) for document in documents]
        documents = ()
    if len(notes) == 1:
        return message
    content = "\n".join(notes).strip()
    return replace(message, images=images, documents=documents, content=content)


def _describe_tools(message: Message) -> Message:
    """Puts a tool's call or result into words, for a model without tools."""
    if message.role == "tool":
        return Message(role="user", content=f"(a tool's result) {message.content}")
    if not message.tool_calls:
        return message
    calls = [f"(called {c.name} with {json.dumps(dict(c.arguments))})" for c in message.tool_calls]
    return Message(role="assistant", content="\n".join(filter(None, [message.content, *calls])))

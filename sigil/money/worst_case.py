"""The most tokens that one call of a model can be charged for, known before it is made.

No tokenizer makes more tokens out of a text than it has bytes of UTF-8, as written or in the
compatible form (NFKC) into which some bring it first. What vendors add is covered by constants,
each well above what they document.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Literal

from sigil.conversation import Message, ToolCall, ToolDefinition, Usage
from sigil.providers.base import ChatRequest, ModelInfo

CALL_TOKENS = 64
"""What frames a request."""

MESSAGE_TOKENS = 16
"""What frames a message, a call of a tool or a definition of one: role, separators."""

TOOLS_TOKENS = 1024
"""The vendor's own instructions on tools, sent along with any definition. Anthropic lists up to
530 (Tool use, "Pricing": https://platform.claude.com/docs/en/agents-and-tools/tool-use)."""

IMAGE_TOKENS = 16_384
"""A picture, however large: vendors scale it down first. Anthropic: 2576 px by 28-px patches,
under 5,000 (https://platform.claude.com/docs/en/build-with-claude/vision). OpenAI: 10,000 patches
times 1.2 (https://developers.openai.com/api/docs/guides/images-vision). Google: 2,240 at the
highest resolution (https://ai.google.dev/gemini-api/docs/media-resolution)."""

IMAGE_TOKENS_OF = {"gpt-4o-mini": 48_169}
"""By a part of the model's name: 2,833 and 5,667 for each of up to 8 tiles (OpenAI, as above)."""

MOST_TOKENS = 100_000_000
"""A vendor's count is from outside; beyond this it is not a count."""


def most_input(request: ChatRequest) -> int:
    """The most tokens that the vendor can count as input of this request."""
    image = next(
        (tokens for name, tokens in IMAGE_TOKENS_OF.items() if name in request.model), IMAGE_TOKENS
    )
    return (
        CALL_TOKENS
        + _bytes(request.system_prompt or "")
        + sum(_message(message, image) for message in request.messages)
        + (TOOLS_TOKENS if request.tools else 0)
        + sum(map(_definition, request.tools))
    )


def most_output(request: ChatRequest, info: ModelInfo) -> int:
    """The most tokens of the answer, thoughts included."""
    return max(1, min(request.max_tokens, info.max_output_tokens))


def counted(usage: Usage) -> Usage:
    """The vendor's counts within reason, and parts within their whole."""
    into = _within(usage.input_tokens, MOST_TOKENS)
    out = _within(usage.output_tokens, MOST_TOKENS)
    cached = _within(usage.cached_tokens, into)
    return Usage(
        input_tokens=into,
        output_tokens=out,
        cached_tokens=cached,
        thinking_tokens=_within(usage.thinking_tokens, out),
        cache_write_tokens=_within(usage.cache_write_tokens, into - cached),
    )


def _message(message: Message, image: int) -> int:
    # A result is often shown to the model as a string within JSON.
    content = _json(message.content) if message.role == "tool" else _bytes(message.content)
    neutral = content + _bytes(message.tool_call_id or "") + sum(map(_call, message.tool_calls))
    # One of the two forms is sent.
    native = _bytes(message.native.content) if message.native is not None else 0
    return MESSAGE_TOKENS + max(neutral, native) + image * len(message.images)


def _call(call: ToolCall) -> int:
    return MESSAGE_TOKENS + _bytes(call.id) + _bytes(call.name) + _json(dict(call.arguments))


def _definition(tool: ToolDefinition) -> int:
    return (
        MESSAGE_TOKENS + _bytes(tool.name) + _bytes(tool.description) + _json(dict(tool.parameters))
    )


def _json(data: object) -> int:
    # With the escapes that a vendor may write when it shows this to the model.
    escaped = len(json.dumps(data, ensure_ascii=True, default=str))
    return max(escaped, _bytes(json.dumps(data, ensure_ascii=False, default=str)))


def _bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    found = Counter(text)
    # Marks of others may keep apart again what belongs together, so that all are counted apart.
    # Characters one by one, as normalising a long run of marks takes quadratic time.
    form: Literal["NFKC", "NFKD"] = "NFKD" if any(map(unicodedata.combining, found)) else "NFKC"
    return sum(times * _longest(character, form) for character, times in found.items())


@lru_cache(4096)
def _longest(character: str, form: Literal["NFKC", "NFKD"]) -> int:
    """The bytes of a character as it is or in this form: one of three may become 18 others, as
    U+FDFA does."""
    forms = (character, unicodedata.normalize(form, character))
    return max(len(each.encode("utf-8", "surrogatepass")) for each in forms)


def _within(count: int, most: int) -> int:
    return max(0, min(count, most))

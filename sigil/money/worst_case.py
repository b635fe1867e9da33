"""The most tokens that one call of a model can be charged for, known before the call is made.

Counting tokens exactly would need every vendor's tokenizer, and those change without notice. Bytes
are a safe bound: no tokenizer makes more tokens out of a text than the text has bytes of UTF-8.
Some tokenizers first bring the text into its compatible form (NFKC), which can be longer; the
longer of the two forms counts. Constants cover what vendors add around the text. Each of them is
well above what its vendor documents.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Literal

from sigil.messages.conversation import Message, ToolCall, ToolDefinition
from sigil.providers.base import ChatRequest, ModelInfo

CALL_TOKENS = 64
"""The frame of a request."""

MESSAGE_TOKENS = 16
"""The frame of a message, a tool call or a tool definition: its role and separators."""

TOOLS_TOKENS = 1024
"""The vendor's own instructions on tools, sent along with any definition. Anthropic lists up to
530 (Tool use, "Pricing": https://platform.claude.com/docs/en/agents-and-tools/tool-use)."""

IMAGE_TOKENS = 16_384
"""A picture, however large: vendors scale it down first. Anthropic: 2576 px by 28-px patches,
under 5,000 (https://platform.claude.com/docs/en/build-with-claude/vision). OpenAI: 10,000 patches
times 1.2 (https://developers.openai.com/api/docs/guides/images-vision). Google: 2,240 at the
highest resolution (https://ai.google.dev/gemini-api/docs/media-resolution)."""

IMAGE_TOKENS_OF = {"gpt-4o-mini": 48_169}
"""Exceptions, by a part of the model's name: 2,833 and 5,667 for each of up to 8 tiles (OpenAI, as
above)."""


def bound_input(request: ChatRequest, info: ModelInfo) -> int:
    """The most tokens that the vendor can count as the input of this request.

    A short PDF can unpack to any number of pages, but no call reads more than its context holds.
    """
    has_documents = any(message.documents for message in request.messages)
    image = next(
        (tokens for name, tokens in IMAGE_TOKENS_OF.items() if name in request.model), IMAGE_TOKENS
    )
    return (
        CALL_TOKENS
        + (info.max_context_tokens if has_documents else 0)
        + _bound_text(request.system_prompt or "")
        + sum(_bound_message(message, image) for message in request.messages)
        + (TOOLS_TOKENS if request.tools else 0)
        + sum(map(_bound_definition, request.tools))
    )


def bound_output(request: ChatRequest, info: ModelInfo) -> int:
    """The most tokens of the answer, thoughts included."""
    return max(1, min(request.max_tokens, info.max_output_tokens))


def _bound_message(message: Message, image: int) -> int:
    # Vendors often show a tool's result to the model as a string within JSON.
    as_json = message.role == "tool"
    content = _bound_json(message.content) if as_json else _bound_text(message.content)
    calls = sum(map(_bound_call, message.tool_calls))
    neutral = content + _bound_text(message.tool_call_id or "") + calls
    # Either the neutral or the vendor's own form is sent, so the longer one counts.
    native = _bound_text(message.native.content) if message.native is not None else 0
    return MESSAGE_TOKENS + max(neutral, native) + image * len(message.images)


def _bound_call(call: ToolCall) -> int:
    arguments = _bound_json(dict(call.arguments))
    return MESSAGE_TOKENS + _bound_text(call.id) + _bound_text(call.name) + arguments


def _bound_definition(tool: ToolDefinition) -> int:
    parameters = _bound_json(dict(tool.parameters))
    return MESSAGE_TOKENS + _bound_text(tool.name) + _bound_text(tool.description) + parameters


def _bound_json(data: object) -> int:
    # A vendor may or may not write escapes when it shows this to the model.
    escaped = len(json.dumps(data, ensure_ascii=True, default=str))
    return max(escaped, _bound_text(json.dumps(data, ensure_ascii=False, default=str)))


def _bound_text(text: str) -> int:
    if text.isascii():
        return len(text)
    # Characters are measured one by one, because normalising a long run of combining marks takes
    # quadratic time. Marks can also keep characters apart that NFKC would otherwise join, so a
    # text with any mark is measured in NFKD, where everything stands apart.
    characters = Counter(text)
    has_marks = any(map(unicodedata.combining, characters))
    form: Literal["NFKC", "NFKD"] = "NFKD" if has_marks else "NFKC"
    return sum(times * _measure_character(each, form) for each, times in characters.items())


@lru_cache(4096)
def _measure_character(character: str, form: Literal["NFKC", "NFKD"]) -> int:
    """The bytes of a character, as it is or in this form, whichever is more. U+FDFA has 3 bytes
    and becomes 18 characters."""
    forms = (character, unicodedata.normalize(form, character))
    return max(len(each.encode("utf-8", "surrogatepass")) for each in forms)

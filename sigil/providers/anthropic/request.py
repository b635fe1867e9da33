"""Requests as Anthropic's Messages API takes them: https://platform.claude.com/docs/en/api/messages"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from sigil.messages.conversation import Document, Image, Message
from sigil.providers.anthropic.options import MIN_THINKING_BUDGET, AnthropicOptions
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.shared.json_fields import Json, read_object
from sigil.providers.shared.native import decode_native
from sigil.providers.shared.pictures import read_data_url
from sigil.providers.shared.tools import ToolNames, complete_schema

API = "anthropic"
"""The name of this API in `Native`."""

SAMPLING_VERSION = "2023-06-01"
"""The last version of the API that takes a temperature; later ones refuse it for all models:
https://platform.claude.com/docs/en/api/migration-2026-10-21"""

_THOUGHTS = frozenset({"thinking", "redacted_thinking"})
_CACHE_MARK = {"type": "ephemeral"}
_MAX_USER_ID = 256
_FORBIDDEN_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
# Models before Claude Opus 4.7. Newer ones have no temperature to set.
_HAS_TEMPERATURE = re.compile(
    r"claude-(?:instant|[123][.-]|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:[-@]\d{8}.*|-latest)?\Z)"
)


def build_request(
    request: ChatRequest,
    info: ModelInfo,
    names: ToolNames,
    options: AnthropicOptions,
    *,
    with_thoughts: bool = True,
) -> Json:
    """The body of a request. It has a temperature only if `SAMPLING_VERSION` is to be used.

    Without `with_thoughts` the model's earlier thoughts are left out. `info` is not needed here;
    the function has the same parameters in every vendor's folder.
    """
    body: Json = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": _build_messages(request, names, with_thoughts),
    }
    if request.stream:
        body["stream"] = True
    if request.system_prompt and request.system_prompt.strip():
        body["system"] = [{"type": "text", "text": request.system_prompt}]
    if request.tools:
        body["tools"] = [
            {
                "name": names.to_wire(tool.name),
                "description": tool.description,
                "input_schema": complete_schema(tool.parameters),
            }
            for tool in request.tools
        ]
        body["tool_choice"] = {"type": "auto"}
    if options.effort is not None:
        body["output_config"] = {"effort": options.effort}
    if options.send_user_id and request.user:
        body["metadata"] = {"user_id": request.user[:_MAX_USER_ID]}
    thinking = _choose_thinking(request, options, body["messages"])
    if thinking is not None:
        body["thinking"] = thinking
    thinks = thinking is not None and thinking["type"] in ("enabled", "adaptive")
    # Other vendors' models behind the same API have a temperature, too.
    is_settable = "claude" not in request.model or _HAS_TEMPERATURE.search(request.model)
    if request.temperature is not None and not thinks and is_settable:
        body["temperature"] = min(request.temperature, 1.0)
    if options.prompt_caching:
        _mark_for_cache(body)
    return body


def has_thoughts(body: Json) -> bool:
    """Whether earlier thoughts of the model are sent back to it."""
    return any(
        block["type"] in _THOUGHTS for message in body["messages"] for block in message["content"]
    )


def _choose_thinking(
    request: ChatRequest, options: AnthropicOptions, messages: Sequence[Json]
) -> Json | None:
    if not isinstance(options.thinking, int):
        return None if options.thinking is None else {"type": options.thinking}
    budget = min(options.thinking, request.max_tokens - 1)
    if budget < MIN_THINKING_BUDGET or _lacks_thought(messages):
        return None
    return {"type": "enabled", "budget_tokens": budget}


def _lacks_thought(messages: Sequence[Json]) -> bool:
    """Whether the last tool calls were made without a thought, for instance by another vendor's
    model. A request with a budget for thinking would be refused."""
    if len(messages) < 2 or messages[-1]["content"][0]["type"] != "tool_result":
        return False
    return messages[-2]["content"][0]["type"] not in _THOUGHTS


def _build_messages(request: ChatRequest, names: ToolNames, with_thoughts: bool) -> list[Json]:
    """Messages of the user and the assistant in turn, neighbours of one role as one.

    Thoughts are bound to everything before them. Within a turn they must be sent back; after it
    the instructions, the tools or the history may have changed, so they are left out.
    """
    asked_at = max(
        (i for i, each in enumerate(request.messages) if each.role == "user"), default=-1
    )
    wire: list[Json] = []
    for position, message in enumerate(request.messages):
        role = "assistant" if message.role == "assistant" else "user"
        if message.role == "assistant":
            keep = with_thoughts and position > asked_at
            blocks = _build_answer(message, request.model, names, keep)
        elif message.role == "tool":
            blocks = [_build_result(message)]
        else:
            blocks = _build_question(message)
        if wire and wire[-1]["role"] == role:
            wire[-1]["content"] += blocks
        elif blocks:
            wire.append({"role": role, "content": blocks})
    return wire


def _build_question(message: Message) -> list[Json]:
    blocks = [_build_document(document) for document in message.documents]
    blocks += [_build_image(image) for image in message.images]
    # Blank text is refused.
    if message.content.strip():
        blocks.append({"type": "text", "text": message.content})
    return blocks or [{"type": "text", "text": "(no text)"}]


def _build_image(image: Image) -> Json:
    data = read_data_url(image)
    if data is None:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    media_type = "image/jpeg" if data[0] == "image/jpg" else data[0]
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": media_type, "data": data[1]},
    }


def _build_document(document: Document) -> Json:
    """PDFs only: https://platform.claude.com/docs/en/build-with-claude/pdf-support"""
    _, data = read_data_url(document) or ("", "")
    return {
        "type": "document",
        "source": {"type": "base64", "media_type": document.mime_type, "data": data},
        "title": document.name,
    }


def _build_result(message: Message) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": _clean_id(message.tool_call_id or "")}
    if message.content.strip():
        block["content"] = message.content
    return block


def _build_answer(
    message: Message, model: str, names: ToolNames, keep_thoughts: bool
) -> list[Json]:
    native = decode_native(message, API, model)
    if isinstance(native, list) and native and all("type" in read_object(b) for b in native):
        return [block for block in native if keep_thoughts or block["type"] not in _THOUGHTS]
    blocks: list[Json] = []
    if message.content.strip():
        blocks.append({"type": "text", "text": message.content})
    blocks += [
        {
            "type": "tool_use",
            "id": _clean_id(call.id),
            "name": names.to_wire(call.name),
            "input": dict(call.arguments),
        }
        for call in message.tool_calls
    ]
    return blocks


def _clean_id(call_id: str) -> str:
    """Other vendors' ids may have characters that are refused here."""
    return _FORBIDDEN_IN_IDS.sub("_", call_id)


def _mark_for_cache(body: Json) -> None:
    """Marks where prefixes worth caching end. Four marks are allowed: the tools, the instructions
    and the user's two last messages, as a mark is found again only within 20 blocks of the next."""
    users = [message for message in body["messages"] if message["role"] == "user"]
    prefixes = [body.get("tools"), body.get("system")]
    prefixes += [message["content"] for message in users[-2:]]
    for blocks in cast(list[list[Json] | None], prefixes):
        if blocks:
            blocks[-1]["cache_control"] = _CACHE_MARK

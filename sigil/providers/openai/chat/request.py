"""Requests as chat completions take them: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from sigil.messages.conversation import Message
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.openai.options import OpenAIOptions
from sigil.providers.openai.request import (
    CallIds,
    build_common_fields,
    check_address,
    encode_arguments,
)
from sigil.providers.shared.json_fields import Json
from sigil.providers.shared.native import decode_native
from sigil.providers.shared.tools import ToolNames, complete_schema

API = "openai.chat"
"""The name of this API in `Native`."""


def build_request(
    request: ChatRequest,
    info: ModelInfo,
    names: ToolNames,
    options: OpenAIOptions,
    *,
    is_openai: bool,
) -> Json:
    """The body of a request. `is_openai`: the server is OpenAI's own, which refuses what a model
    does not take. Raises `CannotSend`."""
    body: Json = {
        "model": request.model,
        "messages": _build_messages(request, names),
        options.max_tokens_field or "max_tokens": request.max_tokens,
        **build_common_fields(request, info, options, is_openai=is_openai),
    }
    if request.stream and options.stream_usage is not False:
        body["stream_options"] = {"include_usage": True}
    if options.reasoning_effort and (info.thinking or not is_openai):
        body["reasoning_effort"] = options.reasoning_effort
    if options.store is not None:
        body["store"] = options.store
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": names.to_wire(tool.name),
                    "description": tool.description,
                    "parameters": complete_schema(tool.parameters),
                },
            }
            for tool in request.tools
        ]
    return body | options.extra_body


def _build_messages(request: ChatRequest, names: ToolNames) -> list[Json]:
    ids = CallIds()
    messages: list[Json] = []
    if request.system_prompt:
        messages.append({"role": "system", "content": request.system_prompt})
    for message in request.messages:
        native = decode_native(message, API, request.model)
        if isinstance(native, dict):
            ids.keep(message.tool_calls)
            messages.append(native)
        else:
            messages.append(_build_message(message, names, ids))
    return messages


def _build_message(message: Message, names: ToolNames, ids: CallIds) -> Json:
    wire: Json = {"role": message.role, "content": message.content}
    if message.images or message.documents:
        text = [{"type": "text", "text": message.content}] if message.content else []
        pictures = [
            {"type": "image_url", "image_url": {"url": check_address(image)}}
            for image in message.images
        ]
        documents = [
            {"type": "file", "file": {"filename": each.name, "file_data": each.url}}
            for each in message.documents
        ]
        wire["content"] = [*text, *pictures, *documents]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = ids.to_wire(message.tool_call_id)
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [
            {
                "id": ids.to_wire(call.id),
                "type": "function",
                "function": {
                    "name": names.to_wire(call.name),
                    "arguments": encode_arguments(call),
                },
            }
            for call in message.tool_calls
        ]
    return wire

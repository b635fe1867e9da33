"""Requests as responses take them: https://platform.openai.com/docs/api-reference/responses"""

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

API = "openai.responses"
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
        "input": _build_items(request, names),
        "max_output_tokens": request.max_tokens,
        "store": bool(options.store),
        **build_common_fields(request, info, options, is_openai=is_openai),
    }
    if request.system_prompt:
        body["instructions"] = request.system_prompt
    if options.reasoning_effort and (info.thinking or not is_openai):
        body["reasoning"] = {"effort": options.reasoning_effort}
    # Models that do not think refuse it.
    if info.thinking and not options.store:
        body["include"] = ["reasoning.encrypted_content"]
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": names.to_wire(tool.name),
                "description": tool.description,
                "parameters": complete_schema(tool.parameters),
                # The default, true, takes only schemas of its own kind.
                "strict": False,
            }
            for tool in request.tools
        ]
    return body | options.extra_body


def _build_items(request: ChatRequest, names: ToolNames) -> list[Json]:
    ids = CallIds()
    items: list[Json] = []
    for message in request.messages:
        native = decode_native(message, API, request.model)
        if isinstance(native, list):
            ids.keep(message.tool_calls)
            items += native
        else:
            items += _split_message(message, names, ids)
    return items


def _split_message(message: Message, names: ToolNames, ids: CallIds) -> list[Json]:
    """A message as items: its text and pictures are one, and so is each of its calls."""
    if message.role == "tool":
        call_id = ids.to_wire(message.tool_call_id or "")
        return [{"type": "function_call_output", "call_id": call_id, "output": message.content}]
    items: list[Json] = []
    if message.content or not message.tool_calls:
        items.append({"role": message.role, "content": _build_content(message)})
    items += [
        {
            "type": "function_call",
            "call_id": ids.to_wire(call.id),
            "name": names.to_wire(call.name),
            "arguments": encode_arguments(call),
        }
        for call in message.tool_calls
    ]
    return items


def _build_content(message: Message) -> str | list[Json]:
    if not message.images and not message.documents:
        return message.content
    text = [{"type": "input_text", "text": message.content}] if message.content else []
    pictures = [
        {"type": "input_image", "image_url": check_address(image), "detail": "auto"}
        for image in message.images
    ]
    documents = [
        {"type": "input_file", "filename": each.name, "file_data": each.url}
        for each in message.documents
    ]
    return [*text, *pictures, *documents]

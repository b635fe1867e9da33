"""Requests as Gemini takes them: https://ai.google.dev/api/generate-content

The SDK is imported function by function: it is there by the time a request is made.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from sigil.errors import ErrorKind
from sigil.messages.conversation import Document, Image, Message
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.google.options import GoogleOptions
from sigil.providers.shared.errors import CannotSend
from sigil.providers.shared.native import decode_native
from sigil.providers.shared.pictures import read_data_url
from sigil.providers.shared.tools import ToolNames, complete_schema

if TYPE_CHECKING:
    from google.genai import types

API = "google"
"""The name of this API in `Native`."""

_MODEL = re.compile(r"(?:models/|tunedModels/)?\w[\w.:@-]*", re.ASCII)
# From its third generation on, Gemini refuses a call in the history that it did not sign. This
# signature says that another model made it (ai.google.dev/gemini-api/docs/thought-signatures).
_SIGNS_CALLS = re.compile(r"(?:models/)?gemini-(?:[3-9]|\d\d|(?:pro|flash)\b)")
# Pictures that other vendors' models see (ai.google.dev/gemini-api/docs/image-understanding).
_UNSEEN_TYPES = frozenset({"image/gif"})
_FOREIGN_SIGNATURE = b"skip_thought_signature_validator"

Calls = dict[str, tuple[str, str | None]]
"""The calls so far by their ids: the names and the ids that the vendor knows them by."""


def build_request(
    request: ChatRequest, info: ModelInfo, names: ToolNames, options: GoogleOptions
) -> dict[str, Any]:
    """The arguments for the SDK: model, conversation and configuration.

    Raises `CannotSend` for a name that no model can have and for a request that says nothing.
    """
    if not _MODEL.fullmatch(request.model) or ".." in request.model:
        raise CannotSend("no model can have this name", ErrorKind.UNAVAILABLE)
    try:
        contents = _build_messages(request, names)
        config = _build_config(request, info, names, options)
    except Exception as error:  # noqa: BLE001  # its text would quote the conversation
        cause = type(error).__name__
    else:
        if contents:
            return {"model": request.model, "contents": contents, "config": config}
        raise CannotSend("the request says nothing")
    raise CannotSend(f"the request cannot be written ({cause})")


def _build_config(
    request: ChatRequest, info: ModelInfo, names: ToolNames, options: GoogleOptions
) -> types.GenerateContentConfig:
    """Everything but the conversation. The SDK sends exactly one request for it: it calls no
    functions, and does not continue what was cut off."""
    from google.genai import types

    declarations = [
        types.FunctionDeclaration(
            name=names.to_wire(tool.name),
            description=tool.description,
            parameters_json_schema=complete_schema(tool.parameters) if tool.parameters else None,
        )
        for tool in request.tools
    ]
    return types.GenerateContentConfig(
        system_instruction=request.system_prompt or None,
        temperature=request.temperature,
        max_output_tokens=request.max_tokens,
        thinking_config=_choose_thinking(request.model, info, options),
        tools=[types.Tool(function_declarations=declarations)] if declarations else None,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
    )


def _choose_thinking(
    model: str, info: ModelInfo, options: GoogleOptions
) -> types.ThinkingConfig | None:
    """What is configured, except for a model that is known not to think: it would refuse."""
    from google.genai import types

    is_unknown = info == ModelInfo(model)
    if options.thinking is None or not (info.thinking or is_unknown):
        return None
    if isinstance(options.thinking, int):
        return types.ThinkingConfig(thinking_budget=options.thinking)
    return types.ThinkingConfig.model_validate({"thinking_level": options.thinking.upper()})


def _build_messages(request: ChatRequest, names: ToolNames) -> list[types.Content]:
    """Messages of `user` and `model`. The results of calls that were made together are one
    message, as the API demands. Empty messages are left out, because it refuses them."""
    from google.genai import types

    wire: list[tuple[str, list[types.Part]]] = []
    calls: Calls = {}
    previous = ""
    for message in request.messages:
        if message.role == "assistant":
            wire.append(("model", _build_answer(message, request.model, names, calls)))
        elif message.role == "user":
            files: list[Image | Document] = [*message.documents, *message.images]
            wire.append(("user", [*map(_build_file, files), *_build_text(message.content)]))
        elif previous == "tool":
            wire[-1][1].append(_build_result(message, calls))
        else:
            wire.append(("user", [_build_result(message, calls)]))
        previous = message.role
    return [types.Content(role=role, parts=parts) for role, parts in wire if parts]


def _build_answer(message: Message, model: str, names: ToolNames, calls: Calls) -> list[types.Part]:
    parts = _decode_native_parts(message, model, names) or _build_parts(message, model, names)
    sent = [part.function_call for part in parts if part.function_call is not None]
    for call, sent_call in zip(message.tool_calls, sent, strict=True):
        calls[call.id] = (names.to_wire(call.name), sent_call.id)
    return parts


def _decode_native_parts(message: Message, model: str, names: ToolNames) -> list[types.Part] | None:
    """The answer in Gemini's own form, if it was kept and has the same calls."""
    from google.genai import types

    if message.native is None or decode_native(message, API, model) is None:
        return None
    try:
        # Not what `decode_native` parsed: only from JSON does the SDK read bytes out of base64.
        parts = types.Content.model_validate_json(message.native.content).parts or []
    except ValueError:
        return None
    sent = [part.function_call.name for part in parts if part.function_call is not None]
    return parts if sent == [names.to_wire(call.name) for call in message.tool_calls] else None


def _build_parts(message: Message, model: str, names: ToolNames) -> list[types.Part]:
    from google.genai import types

    parts = _build_text(message.content)
    for number, call in enumerate(message.tool_calls):
        # Only the first of the calls that were made together is signed.
        needs_signature = number == 0 and _SIGNS_CALLS.match(model)
        parts.append(
            types.Part(
                function_call=types.FunctionCall(
                    id=call.id, name=names.to_wire(call.name), args=dict(call.arguments)
                ),
                thought_signature=_FOREIGN_SIGNATURE if needs_signature else None,
            )
        )
    return parts


def _build_result(message: Message, calls: Calls) -> types.Part:
    from google.genai import types

    call_id = message.tool_call_id or ""
    name, wire_id = calls.get(call_id, (call_id, None))
    return types.Part(
        function_response=types.FunctionResponse(
            id=wire_id, name=name, response={"output": message.content}
        )
    )


def _build_text(content: str) -> list[types.Part]:
    from google.genai import types

    return [types.Part(text=content)] if content else []


def _build_file(file: Image | Document) -> types.Part:
    """The vendor itself fetches what has an `https:` address
    (ai.google.dev/gemini-api/docs/file-input-methods)."""
    from google.genai import types

    data = read_data_url(file)
    if data is None:
        return types.Part(file_data=types.FileData(file_uri=file.url, mime_type=file.mime_type))
    media_type, base64 = data
    if media_type in _UNSEEN_TYPES:
        return types.Part(text=f"[a picture of the type {media_type}, which you cannot see]")
    try:
        blob = types.Blob(mime_type=media_type, data=b64decode(base64, validate=True))
    except ValueError:
        return types.Part(text="[a picture that cannot be read]")
    return types.Part(inline_data=blob)

"""What is sent to Gemini: the conversation and the configuration of one answer.

The SDK is loaded when a request is made, so it is imported in here function by function.
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING

from sigil.conversation import Image, Message
from sigil.providers.base import ChatRequest
from sigil.providers.shared.vendor import ToolNames, inline, replayed, schema_of

if TYPE_CHECKING:
    from google.genai import types

API = "google"
"""The name of this API in `Native`."""

# From its third generation on, Gemini refuses a call in the history that it did not sign; this
# says that the call is another model's (ai.google.dev/gemini-api/docs/thought-signatures).
_SIGNS = re.compile(r"(?:models/)?gemini-(?:[3-9]|\d\d|(?:pro|flash)\b)")
_UNSIGNED = b"skip_thought_signature_validator"

Calls = dict[str, tuple[str, str | None]]
"""The calls so far, by their ids: the names and the ids that the vendor knows them by."""


def configured(
    request: ChatRequest, names: ToolNames, thinking: types.ThinkingConfig | None
) -> types.GenerateContentConfig:
    """Everything about an answer but the conversation. One request is sent for it, and only
    one: functions are called by the caller, and what was cut off stays so."""
    from google.genai import types

    declared = [
        types.FunctionDeclaration(
            name=names.wire(tool.name),
            description=tool.description,
            parameters_json_schema=schema_of(tool.parameters) if tool.parameters else None,
        )
        for tool in request.tools
    ]
    return types.GenerateContentConfig(
        system_instruction=request.system_prompt or None,
        temperature=request.temperature,
        max_output_tokens=request.max_tokens,
        thinking_config=thinking,
        tools=[types.Tool(function_declarations=declared)] if declared else None,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
    )


def conversation(request: ChatRequest, names: ToolNames) -> list[types.Content]:
    """The messages as turns of `user` and `model`; the results of one turn's calls are together,
    as the API demands. Messages that say nothing are left out, for it refuses those."""
    from google.genai import types

    turns: list[tuple[str, list[types.Part]]] = []
    calls: Calls = {}
    previous = ""
    for message in request.messages:
        if message.role == "assistant":
            turns.append(("model", _said(message, request.model, names, calls)))
        elif message.role == "user":
            turns.append(("user", [*map(_picture, message.images), *_text(message.content)]))
        elif previous == "tool":
            turns[-1][1].append(_result(message, calls))
        else:
            turns.append(("user", [_result(message, calls)]))
        previous = message.role
    return [types.Content(role=role, parts=parts) for role, parts in turns if parts]


def _said(message: Message, model: str, names: ToolNames, calls: Calls) -> list[types.Part]:
    parts = _replayed(message, model, names) or _neutral(message, model, names)
    sent = [part.function_call for part in parts if part.function_call is not None]
    for call, known in zip(message.tool_calls, sent, strict=True):
        calls[call.id] = (names.wire(call.name), known.id)
    return parts


def _replayed(message: Message, model: str, names: ToolNames) -> list[types.Part] | None:
    """The answer in Gemini's own form, if it was kept and has the same calls."""
    from google.genai import types

    if message.native is None or replayed(message, API, model) is None:
        return None
    try:
        # Not what `replayed` parsed: only from JSON does the SDK read bytes out of base64.
        parts = types.Content.model_validate_json(message.native.content).parts or []
    except ValueError:
        return None
    sent = [part.function_call.name for part in parts if part.function_call is not None]
    return parts if sent == [names.wire(call.name) for call in message.tool_calls] else None


def _neutral(message: Message, model: str, names: ToolNames) -> list[types.Part]:
    from google.genai import types

    parts = _text(message.content)
    for number, call in enumerate(message.tool_calls):
        # Of calls that were made together only the first is signed.
        unsigned = number == 0 and _SIGNS.match(model)
        parts.append(
            types.Part(
                function_call=types.FunctionCall(
                    id=call.id, name=names.wire(call.name), args=dict(call.arguments)
                ),
                thought_signature=_UNSIGNED if unsigned else None,
            )
        )
    return parts


def _result(message: Message, calls: Calls) -> types.Part:
    from google.genai import types

    answered = message.tool_call_id or ""
    name, known = calls.get(answered, (answered, None))
    return types.Part(
        function_response=types.FunctionResponse(
            id=known, name=name, response={"output": message.content}
        )
    )


def _text(content: str) -> list[types.Part]:
    from google.genai import types

    return [types.Part(text=content)] if content else []


def _picture(image: Image) -> types.Part:
    """The vendor fetches what has an `https:` address itself
    (ai.google.dev/gemini-api/docs/file-input-methods)."""
    from google.genai import types

    held = inline(image)
    if held is None:
        return types.Part(file_data=types.FileData(file_uri=image.url, mime_type=image.mime_type))
    kind, data = held
    try:
        blob = types.Blob(mime_type=kind, data=b64decode(data, validate=True))
    except ValueError:
        return types.Part(text="[a picture that cannot be read]")
    return types.Part(inline_data=blob)

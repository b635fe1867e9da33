"""What Gemini answers: chunks of a stream, whole responses, and errors."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.loopback import Exchange, Json, Reply, event_stream, status

RESPONSE_ID = "rsp_0001"
USAGE = {
    "promptTokenCount": 11,
    "toolUsePromptTokenCount": 2,
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 23,
}


def content(*parts: Json | str, finish: str | None = None, **fields: Any) -> Json:
    """One response, or one chunk of it; a part that is a string is text."""
    candidate: Json = {"index": 0}
    if parts:
        objects = [{"text": part} if isinstance(part, str) else part for part in parts]
        candidate["content"] = {"role": "model", "parts": objects}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "responseId": RESPONSE_ID, **fields}


def call(name: str, arguments: Json | None = None, **fields: Any) -> Json:
    """A part that asks for a tool call; `id` and `thoughtSignature` go where they belong."""
    function: Json = {"name": name, "args": arguments or {}}
    if "id" in fields:
        function["id"] = fields.pop("id")
    return {"functionCall": function, **fields}


def answer(*parts: Json | str, finish: str | None = "STOP") -> Reply:
    """A good answer, in the form that was asked for."""
    parts = parts or ("Hi", " there")

    async def reply(exchange: Exchange) -> None:
        if ":streamGenerateContent" in exchange.path:
            last = content(finish=finish, usageMetadata=USAGE)
            await chunks(*(content(part) for part in parts), last)(exchange)
        else:
            await status(200, content(*parts, finish=finish, usageMetadata=USAGE))(exchange)

    return reply


def chunks(*bodies: Json | str, end: str = "clean", **headers: str) -> Reply:
    """A stream of these chunks, and then the end: `clean`, `cut` or `silence`."""
    texts = (body if isinstance(body, str) else json.dumps(body) for body in bodies)
    return event_stream(*(f"data: {text}\r\n\r\n" for text in texts), end=end, **headers)


def error(code: int, name: str, message: str = "No.", *details: Json) -> Json:
    return {"error": {"code": code, "message": message, "status": name, "details": list(details)}}


def refusal(code: int, name: str, message: str = "No.", *details: Json, **headers: str) -> Reply:
    return status(code, error(code, name, message, *details), **headers)

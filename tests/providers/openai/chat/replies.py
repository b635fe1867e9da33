"""What OpenAI's chat completions answer: chunks of a stream, whole completions, and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.providers.loopback import Exchange, Json, Reply, event_stream, status

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def chunk(
    delta: Json | None = None, finish_reason: str | None = None, usage: Json | None = None
) -> str:
    choices = (
        [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    )
    data = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        "usage": usage,
    }
    return f"data: {json.dumps(data)}\n\n"


def call_delta(
    index: int, arguments: str, call_id: str | None = None, name: str | None = None, **more: Any
) -> str:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    call: Json = {"index": index, "function": function, **more} | (
        {"id": call_id} if call_id else {}
    )
    return chunk({"tool_calls": [call]})


DONE = "data: [DONE]\n\n"


def words(text: str) -> Iterator[str]:
    yield chunk({"role": "assistant", "content": ""})
    for word in text.split(" "):
        yield chunk({"content": word})


def answer(text: str = "Hi there", finish_reason: str = "stop") -> Reply:
    """A good answer, in the form that was asked for."""

    async def reply(exchange: Exchange) -> None:
        if exchange.body.get("stream"):
            pieces = text.partition(" ")
            await event_stream(
                *(chunk({"content": piece}) for piece in pieces if piece),
                chunk({}, finish_reason),
                chunk(usage=USAGE),
                DONE,
            )(exchange)
        else:
            await whole({"content": text}, finish_reason)(exchange)

    return reply


def whole(message: Json, finish_reason: str | None = "stop") -> Reply:
    return status(
        200,
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": None, **message},
                    "finish_reason": finish_reason,
                }
            ],
            "usage": USAGE,
        },
    )


def refusal(code: int, kind: str | None, message: str = "No.", **headers: str) -> Reply:
    return status(code, {"error": {"message": message, "type": "x", "code": kind}}, **headers)

"""What Anthropic's messages API answers: the events of a stream, whole messages, and errors."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.loopback import Json, Reply, event_stream, status

USAGE = {
    "input_tokens": 5,
    "cache_read_input_tokens": 4,
    "cache_creation_input_tokens": 2,
    "output_tokens": 1,
}
FINAL_USAGE = {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 3}}


def event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def start(usage: Json | None = None) -> str:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    return event("message_start", message=message | {"usage": USAGE if usage is None else usage})


def delta(index: int, kind: str, name: str, piece: object) -> str:
    return event("content_block_delta", index=index, delta={"type": kind, name: piece})


def text_block(text: str) -> Json:
    return {"type": "text", "text": text}


def text(*pieces: str, index: int = 0) -> str:
    begin = event("content_block_start", index=index, content_block=text_block(""))
    return begin + "".join(delta(index, "text_delta", "text", piece) for piece in pieces)


def tool_use(index: int, *pieces: str, name: str = "get", call_id: str = "toolu_1") -> str:
    block = {"type": "tool_use", "id": call_id, "name": name, "input": {}, "toolset_name": None}
    begin = event("content_block_start", index=index, content_block=block)
    return begin + "".join(delta(index, "input_json_delta", "partial_json", p) for p in pieces)


def stop(reason: str | None = "end_turn", **fields: Any) -> str:
    end = {"stop_reason": reason, "stop_sequence": None, **fields}
    return event("message_delta", delta=end, usage=FINAL_USAGE) + event("message_stop")


def refusal(code: int, kind: str, message: str = "No.", **headers: str) -> Reply:
    return status(code, {"type": "error", "error": {"type": kind, "message": message}}, **headers)


def whole(*content: Json, reason: str | None = "end_turn") -> Reply:
    usage = USAGE | FINAL_USAGE
    body = {"id": "msg_1", "type": "message", "role": "assistant", "content": list(content)}
    return status(200, body | {"stop_reason": reason, "usage": usage})


ANSWER = event_stream(start(), event("ping"), text("Hi", " there"), stop())

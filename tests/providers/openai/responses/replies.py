"""What OpenAI's responses API answers: the events of a stream, and whole responses."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.loopback import Json, Reply, event_stream, status

USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 18,
}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA="}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "add",
    "arguments": '{"a": 1}',
    "status": "completed",
}


def event(kind: str, **fields: Any) -> str:
    data = {"type": kind, "sequence_number": 1, **fields}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"


def text_delta(text: str) -> str:
    return event("response.output_text.delta", output_index=0, content_index=0, delta=text)


def message(*texts: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    head = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    return {**head, "content": content}


def done(item: Json) -> str:
    return event("response.output_item.done", output_index=0, item=item)


def response(*output: Json, state: str = "completed", **fields: Any) -> Json:
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "error": None}
    return {**head, "status": state, "output": list(output), "usage": USAGE, **fields}


def last(*output: Json, state: str = "completed", **fields: Any) -> str:
    return event(f"response.{state}", response=response(*output, state=state, **fields))


CREATED = event("response.created", response=response(state="in_progress", usage=None))
HI = [CREATED, text_delta("Hi"), text_delta(" there")]


def answer_pair(*items: Json, text: str = "", **ending: Any) -> tuple[Reply, Reply]:
    """The same answer as a stream and as a whole."""
    output = [*items, *([message(text)] if text else [])]
    deltas = [text_delta(piece) for piece in text.partition(" ") if piece]
    return (
        event_stream(CREATED, *deltas, *map(done, output), last(*output, **ending)),
        status(200, response(*output, **ending)),
    )

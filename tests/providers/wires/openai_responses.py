"""OpenAI's responses. Source: its API reference, "Responses" and "Streaming events"."""

from __future__ import annotations

from typing import Any

from sigil.messages.conversation import Usage
from tests.providers.wires.openai_refusals import REFUSALS, refusal_body
from tests.providers.wires.wire import EMPTY, FILTERED, Json, Refusal, Wire, sse

_USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 18,
}

_PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_PART = {"type": "output_text", "text": "", "annotations": []}


def _event(kind: str, number: int, **fields: Any) -> str:
    return sse({"type": kind, "sequence_number": number, **fields}, kind)


def _response(status: str, output: list[Json], **fields: Any) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": _USAGE if status in {"completed", "incomplete"} else None,
        **fields,
    }


def _item(text: str | None, status: str = "completed") -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    head = {"id": "msg_1", "type": "message", "role": "assistant", "status": status}
    return {**head, "content": content}


def _whole(text: str, how: str) -> Json:
    output = [] if how == EMPTY else [_item(text)]
    if how == FILTERED:
        details = {"reason": "content_filter"}
        return _response("incomplete", output, incomplete_details=details)
    return _response("completed", output)


def _closing(how: str) -> str:
    response = _whole("Hello there", how)
    return _event(f"response.{response['status']}", 90, response=response)


def _word(text: str) -> str:
    return _event("response.output_text.delta", 5, **_PLACE, delta=text, logprobs=[])


RESPONSES = Wire(
    name="openai.responses",
    path="/responses",
    key_header=lambda key: ("authorization", f"Bearer {key}"),
    request_id_header="x-request-id",
    opening=(
        _event("response.created", 0, response=_response("in_progress", []))
        + _event("response.in_progress", 1, response=_response("in_progress", []))
        + _event("response.output_item.added", 2, output_index=0, item=_item(None))
        + _event("response.content_part.added", 3, **_PLACE, part=_PART)
    ),
    word=_word,
    closing=_closing,
    whole=_whole,
    usage=Usage(input_tokens=11, output_tokens=7, cached_tokens=4, thinking_tokens=3),
    refusal=refusal_body,
    broken=lambda refusal: _event(
        "error", 9, code=refusal.code, message=refusal.message, param=None
    ),
    overloaded=Refusal(503, "server_error", "Overloaded", "server_is_overloaded"),
    own=REFUSALS,
)

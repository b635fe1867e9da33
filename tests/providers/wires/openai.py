"""OpenAI's chat completions and responses. Source: its API reference, under these names."""

from __future__ import annotations

from typing import Any

from sigil.conversation import Usage
from tests.providers.wires.wire import EMPTY, FILTERED, Json, Refusal, Wire, sse

_COUNTED = Usage(input_tokens=11, output_tokens=7, cached_tokens=4, thinking_tokens=3)
_C_USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def _o_refused(refusal: Refusal) -> Json:
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.word,
            "param": None,
            "code": refusal.code,
        }
    }


_O_REFUSALS = {
    "invalid": Refusal(400, "invalid_request_error", "Missing required parameter: 'messages'."),
    "auth": Refusal(
        401, "invalid_request_error", "Incorrect API key provided: {key}.", "invalid_api_key"
    ),
    "billing": Refusal(402, "invalid_request_error", "Insufficient credits."),
    "credit": Refusal(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
    ),
    "forbidden": Refusal(403, "invalid_request_error", "Your project may not use this model."),
    "no_model": Refusal(
        404, "invalid_request_error", "The model `m` does not exist.", "model_not_found"
    ),
    "too_long": Refusal(
        400,
        "invalid_request_error",
        "Your input exceeds the context window of this model.",
        "context_length_exceeded",
    ),
    "too_large": Refusal(413, "invalid_request_error", "Request too large"),
    "limited": Refusal(429, "requests", "Rate limit reached for m", "rate_limit_exceeded"),
    "server": Refusal(500, "server_error", "The server had an error", "server_error"),
    "unavailable": Refusal(503, "server_error", "The engine is currently overloaded"),
    "late": Refusal(504, "server_error", "Gateway timeout"),
    "refused_prompt": Refusal(
        400, "invalid_request_error", "Your prompt was flagged", "content_policy_violation"
    ),
}


def _c_chunk(delta: Json | None, finish: str | None = None, usage: Json | None = None) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return sse({**head, "choices": choices, "usage": usage})


def _c_whole(text: str, how: str) -> Json:
    message = {"role": "assistant", "content": None if how == EMPTY else text}
    finish = "content_filter" if how == FILTERED else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice], "usage": _C_USAGE}


CHAT = Wire(
    name="openai.chat",
    path="/chat/completions",
    key_header=lambda key: ("authorization", f"Bearer {key}"),
    request_id_header="x-request-id",
    opening=_c_chunk({"role": "assistant", "content": ""}),
    word=lambda text: _c_chunk({"content": text}),
    closing=lambda how: (
        _c_chunk({}, "content_filter" if how == FILTERED else "stop")
        + _c_chunk(None, usage=_C_USAGE)
        + "data: [DONE]\n\n"
    ),
    whole=_c_whole,
    usage=_COUNTED,
    refused=_o_refused,
    broken=lambda refusal: sse(_o_refused(refusal)),
    overloaded=Refusal(503, "overloaded_error", "Overloaded", "overloaded_error"),
    own=_O_REFUSALS,
)

_R_USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 18,
}

_R_PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
_R_PART = {"type": "output_text", "text": "", "annotations": []}


def _r_event(kind: str, number: int, **fields: Any) -> str:
    return sse({"type": kind, "sequence_number": number, **fields}, kind)


def _r_response(status: str, output: list[Json], **fields: Any) -> Json:
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
        "usage": _R_USAGE if status in {"completed", "incomplete"} else None,
        **fields,
    }


def _r_item(text: str | None, status: str = "completed") -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    head = {"id": "msg_1", "type": "message", "role": "assistant", "status": status}
    return {**head, "content": content}


def _r_whole(text: str, how: str) -> Json:
    output = [] if how == EMPTY else [_r_item(text)]
    if how == FILTERED:
        details = {"reason": "content_filter"}
        return _r_response("incomplete", output, incomplete_details=details)
    return _r_response("completed", output)


def _r_closing(how: str) -> str:
    response = _r_whole("Hello there", how)
    return _r_event(f"response.{response['status']}", 90, response=response)


def _r_word(text: str) -> str:
    return _r_event("response.output_text.delta", 5, **_R_PLACE, delta=text, logprobs=[])


RESPONSES = Wire(
    name="openai.responses",
    path="/responses",
    key_header=lambda key: ("authorization", f"Bearer {key}"),
    request_id_header="x-request-id",
    opening=(
        _r_event("response.created", 0, response=_r_response("in_progress", []))
        + _r_event("response.in_progress", 1, response=_r_response("in_progress", []))
        + _r_event("response.output_item.added", 2, output_index=0, item=_r_item(None))
        + _r_event("response.content_part.added", 3, **_R_PLACE, part=_R_PART)
    ),
    word=_r_word,
    closing=_r_closing,
    whole=_r_whole,
    usage=_COUNTED,
    refused=_o_refused,
    broken=lambda refusal: _r_event(
        "error", 9, code=refusal.code, message=refusal.message, param=None
    ),
    overloaded=Refusal(503, "server_error", "Overloaded", "server_is_overloaded"),
    own=_O_REFUSALS,
)

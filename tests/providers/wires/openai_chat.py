"""OpenAI's chat completions. Source: its API reference, "Chat completions"."""

from __future__ import annotations

from sigil.messages.conversation import Usage
from tests.providers.wires.openai_refusals import REFUSALS, refusal_body
from tests.providers.wires.wire import EMPTY, FILTERED, Json, Refusal, Wire, sse

_USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def _chunk(delta: Json | None, finish: str | None = None, usage: Json | None = None) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return sse({**head, "choices": choices, "usage": usage})


def _whole(text: str, how: str) -> Json:
    message = {"role": "assistant", "content": None if how == EMPTY else text}
    finish = "content_filter" if how == FILTERED else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice], "usage": _USAGE}


CHAT = Wire(
    name="openai.chat",
    path="/chat/completions",
    key_header=lambda key: ("authorization", f"Bearer {key}"),
    request_id_header="x-request-id",
    opening=_chunk({"role": "assistant", "content": ""}),
    word=lambda text: _chunk({"content": text}),
    closing=lambda how: (
        _chunk({}, "content_filter" if how == FILTERED else "stop")
        + _chunk(None, usage=_USAGE)
        + "data: [DONE]\n\n"
    ),
    whole=_whole,
    usage=Usage(input_tokens=11, output_tokens=7, cached_tokens=4, thinking_tokens=3),
    refusal=refusal_body,
    broken=lambda refusal: sse(refusal_body(refusal)),
    overloaded=Refusal(503, "overloaded_error", "Overloaded", "overloaded_error"),
    own=REFUSALS,
)

"""Anthropic's messages. Source: its API reference, "Messages" and "Streaming messages"."""

from __future__ import annotations

from typing import Any

from sigil.messages.conversation import Usage
from tests.providers.wires.wire import EMPTY, FILTERED, Json, Refusal, Wire, sse

_USAGE = {
    "input_tokens": 5,
    "cache_read_input_tokens": 4,
    "cache_creation_input_tokens": 2,
    "output_tokens": 7,
}


def _event(kind: str, **fields: Any) -> str:
    return sse({"type": kind, **fields}, kind)


def _message(content: list[Json], stop: str | None) -> Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": _USAGE,
    }


def _closing(how: str) -> str:
    stop = "refusal" if how == FILTERED else "end_turn"
    delta = {"stop_reason": stop, "stop_sequence": None}
    return (
        _event("content_block_stop", index=0)
        + _event("message_delta", delta=delta, usage={"output_tokens": 7})
        + _event("message_stop")
    )


def _whole(text: str, how: str) -> Json:
    content = [] if how == EMPTY else [{"type": "text", "text": text}]
    return _message(content, "refusal" if how == FILTERED else "end_turn")


def _refusal_body(refusal: Refusal) -> Json:
    error = {"type": refusal.word, "message": refusal.message}
    return {"type": "error", "error": error, "request_id": "req_0001"}


ANTHROPIC = Wire(
    name="anthropic",
    path="/v1/messages",
    key_header=lambda key: ("x-api-key", key),
    request_id_header="request-id",
    opening=(
        _event("message_start", message=_message([], None))
        + _event("ping")
        + _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    ),
    word=lambda text: _event(
        "content_block_delta", index=0, delta={"type": "text_delta", "text": text}
    ),
    closing=_closing,
    whole=_whole,
    usage=Usage(input_tokens=11, output_tokens=7, cached_tokens=4, cache_write_tokens=2),
    counts_early=True,
    refusal=_refusal_body,
    broken=lambda refusal: sse(_refusal_body(refusal), "error"),
    overloaded=Refusal(529, "overloaded_error", "Overloaded"),
    own={
        "invalid": Refusal(400, "invalid_request_error", "messages: field required"),
        "auth": Refusal(401, "authentication_error", "invalid x-api-key {key}"),
        "too_long": Refusal(
            400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"
        ),
        "limited": Refusal(429, "rate_limit_error", "This request would exceed your rate limit."),
        "server": Refusal(500, "api_error", "Internal server error"),
    },
)

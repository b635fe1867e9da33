"""Anthropic's messages. Source: its API reference, "Messages" and "Streaming messages"."""

from __future__ import annotations

from typing import Any

from sigil.conversation import Usage
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
        "billing": Refusal(402, "billing_error", "There is an issue with your payment."),
        "credit": Refusal(
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
            "Billing to upgrade or purchase credits.",
        ),
        "forbidden": Refusal(403, "permission_error", "Your key may not use this resource."),
        "no_model": Refusal(404, "not_found_error", "model: m"),
        "too_long": Refusal(
            400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"
        ),
        "too_large": Refusal(413, "request_too_large", "Request exceeds the maximum size"),
        "limited": Refusal(429, "rate_limit_error", "This request would exceed your rate limit."),
        "server": Refusal(500, "api_error", "Internal server error"),
        "unavailable": Refusal(503, "api_error", "Service unavailable"),
        "late": Refusal(504, "timeout_error", "Request timed out"),
        "refused_prompt": Refusal(
            400, "invalid_request_error", "Output blocked by content filtering policy"
        ),
    },
)

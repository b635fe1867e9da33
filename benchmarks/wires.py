"""What each vendor's API sends for a streamed answer, as bytes that need no more work."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_CHAT = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion.chunk",
    "created": 1795392000,
    "model": "bench",
    "service_tier": "default",
    "system_fingerprint": "fp_44709d6fcb",
    "usage": None,
    "obfuscation": "aB3dE5fG7h",
}
_ITEM = "msg_67ccd3acc8d48190a77525dc6de64b4104becb25c45c1d41"


@dataclass(frozen=True, slots=True)
class Wire:
    """One API: what comes before the first token, each token, and what closes an answer of so
    many tokens. `provider` is the class that reads it, `base` what its address ends in."""

    provider: str
    base: str
    head: bytes
    token: Callable[[str], bytes]
    end: Callable[[int], bytes]


def _sse(*events: Json, named: bool = False) -> bytes:
    return b"".join(
        (f"event: {event['type']}\n" if named else "").encode()
        + f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
        for event in events
    )


def _chat(delta: Json, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _sse({**_CHAT, "choices": [choice]})


def _chat_end(tokens: int) -> bytes:
    usage = {"prompt_tokens": 40, "completion_tokens": tokens, "total_tokens": 40 + tokens}
    return _chat({}, "stop") + _sse({**_CHAT, "choices": [], "usage": usage}) + b"data: [DONE]\n\n"


def _response(status: str, output: list[Json], usage: Json | None) -> Json:
    return {
        "id": "resp_67ccd2bed1ec8190b14f964abc054267",
        "object": "response",
        "created_at": 1795392000,
        "status": status,
        "model": "bench",
        "output": output,
        "usage": usage,
        "error": None,
    }


def _responses_token(text: str) -> bytes:
    event = {
        "type": "response.output_text.delta",
        "item_id": _ITEM,
        "output_index": 0,
        "content_index": 0,
        "delta": text,
        "logprobs": [],
        "sequence_number": 4,
        "obfuscation": "aB3dE5fG7h",
    }
    return _sse(event, named=True)


def _item(status: str, content: list[Json]) -> Json:
    return {
        "id": _ITEM,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _responses_end(tokens: int) -> bytes:
    done = _item("completed", [{"type": "output_text", "text": "…", "annotations": []}])
    usage = {
        "input_tokens": 40,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 40 + tokens,
    }
    return _sse(
        {"type": "response.output_item.done", "output_index": 0, "item": done},
        {"type": "response.completed", "response": _response("completed", [done], usage)},
        named=True,
    )


def _anthropic_token(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return _sse({"type": "content_block_delta", "index": 0, "delta": delta}, named=True)


def _anthropic_end(tokens: int) -> bytes:
    return _sse(
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": tokens},
        },
        {"type": "message_stop"},
        named=True,
    )


def _google(text: str, tokens: int = 1, **candidate: Any) -> bytes:
    content = {"parts": [{"text": text}], "role": "model"}
    counted = {"promptTokenCount": 40, "candidatesTokenCount": tokens, "totalTokenCount": 41}
    return _sse(
        {
            "candidates": [{"content": content, "index": 0, **candidate}],
            "usageMetadata": counted,
            "modelVersion": "bench",
            "responseId": "mWEcaMrSJ5SCmtkP3rTj8AE",
        }
    )


WIRES: dict[str, Wire] = {
    "openai": Wire(
        "sigil.providers.openai:OpenAIProvider",
        "/v1",
        _chat({"role": "assistant", "content": "", "refusal": None}),
        lambda text: _chat({"content": text}),
        _chat_end,
    ),
    "openai-responses": Wire(
        "sigil.providers.openai:OpenAIProvider",
        "/v1",
        _sse(
            {"type": "response.created", "response": _response("in_progress", [], None)},
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": _item("in_progress", []),
            },
            named=True,
        ),
        _responses_token,
        _responses_end,
    ),
    "anthropic": Wire(
        "sigil.providers.anthropic:AnthropicProvider",
        "",
        _sse(
            {
                "type": "message_start",
                "message": {
                    "id": "msg_014p7gG3wDgGV9EUtLvnow3U",
                    "type": "message",
                    "role": "assistant",
                    "model": "bench",
                    "content": [],
                    "stop_reason": None,
                    "usage": {"input_tokens": 40, "output_tokens": 1},
                },
            },
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            },
            {"type": "ping"},
            named=True,
        ),
        _anthropic_token,
        _anthropic_end,
    ),
    "google": Wire(
        "sigil.providers.google:GoogleProvider",
        "",
        b"",
        _google,
        lambda tokens: _google("", tokens, finishReason="STOP"),
    ),
}
"""Name of an API to what it sends."""

OPTIONS: dict[str, Json] = {"openai-responses": {"api": "responses"}}
"""Name of an API to the options that its provider needs."""

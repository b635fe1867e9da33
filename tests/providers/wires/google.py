"""Google's generateContent and streamGenerateContent. Source: its API reference."""

from __future__ import annotations

from sigil.messages.conversation import Usage
from tests.providers.wires.wire import EMPTY, FILTERED, Json, Refusal, Wire, sse

_USAGE = {
    "promptTokenCount": 11,
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 4,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 18,
}


def _answer(text: str | None, finish: str | None = None) -> Json:
    candidate: Json = {"index": 0}
    if text is not None:
        candidate["content"] = {"parts": [{"text": text}], "role": "model"}
    if finish is not None:
        candidate["finishReason"] = finish
    tail = {"usageMetadata": _USAGE, "modelVersion": "m", "responseId": "r-1"}
    return {"candidates": [candidate], **tail}


def _whole(text: str, how: str) -> Json:
    if how == FILTERED:
        feedback = {"blockReason": "SAFETY"}
        return {"promptFeedback": feedback, "usageMetadata": _USAGE, "modelVersion": "m"}
    return _answer(None if how == EMPTY else text, "STOP")


def _refusal_body(refusal: Refusal) -> Json:
    error: Json = {
        "code": refusal.status,
        "message": refusal.message,
        "status": refusal.word,
    }
    if refusal.code:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        error["details"] = [{"@type": kind, "reason": refusal.code}]
    return {"error": error}


GOOGLE = Wire(
    name="google",
    path="/v1beta/models/",
    key_header=lambda key: ("x-goog-api-key", key),
    request_id_header="x-request-id",
    opening=sse(_answer("")),
    word=lambda text: sse(_answer(text)),
    closing=lambda how: sse(_answer(None, "SAFETY" if how == FILTERED else "STOP")),
    whole=_whole,
    usage=Usage(input_tokens=11, output_tokens=7, cached_tokens=4, thinking_tokens=3),
    counts_early=True,
    refusal=_refusal_body,
    broken=lambda refusal: sse(_refusal_body(refusal)),
    overloaded=Refusal(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    own={
        "invalid": Refusal(400, "INVALID_ARGUMENT", "contents is not specified"),
        "auth": Refusal(
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key. {key}",
            "API_KEY_INVALID",
        ),
        "too_long": Refusal(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed "
            "(1048576).",
        ),
        "limited": Refusal(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted."),
        "server": Refusal(500, "INTERNAL", "An internal error has occurred."),
    },
)

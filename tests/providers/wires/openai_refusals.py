"""What OpenAI refuses, in its own words. Source: its API reference and guide to error codes."""

from __future__ import annotations

from tests.providers.wires.wire import Json, Refusal


def refusal_body(refusal: Refusal) -> Json:
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.word,
            "param": None,
            "code": refusal.code,
        }
    }


REFUSALS = {
    "invalid": Refusal(400, "invalid_request_error", "Missing required parameter: 'messages'."),
    "auth": Refusal(
        401, "invalid_request_error", "Incorrect API key provided: {key}.", "invalid_api_key"
    ),
    "too_long": Refusal(
        400,
        "invalid_request_error",
        "Your input exceeds the context window of this model.",
        "context_length_exceeded",
    ),
    "limited": Refusal(429, "requests", "Rate limit reached for m", "rate_limit_exceeded"),
    "server": Refusal(500, "server_error", "The server had an error", "server_error"),
}

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

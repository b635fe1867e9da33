"""What can be configured of an account with OpenAI, or with a server that speaks its API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, SecretStr

from sigil.providers.shared.options import VendorOptions

MaxTokensField = Literal["max_tokens", "max_completion_tokens"]

_MAX_EXTRA_BODY = 64 * 1024
_MAX_HEADER = 4096
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
# The HTTP layer sets these itself. The key has an option of its own.
_RESERVED_HEADERS = frozenset(
    {
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "proxy-authorization",
        "transfer-encoding",
    }
)
# Prices, budgets and the reading of the answer depend on these.
_RESERVED_FIELDS = frozenset(
    {
        "background",
        "best_of",
        "conversation",
        "input",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "prediction",
        "previous_response_id",
        "prompt",
        "stream",
        "stream_options",
        "tools",
    }
)


def _check_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, secret in headers.items():
        value = secret.get_secret_value()
        if not _HEADER.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
            raise ValueError(f"the header {name[:100]!r} cannot be set")
        if len(value) > _MAX_HEADER or not value.isascii() or not value.isprintable():
            raise ValueError(f"the header {name!r} is too long or not printable ASCII")
    return headers


def _check_extra_body(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if reserved := sorted(_RESERVED_FIELDS & body.keys()):
        raise ValueError(f"Sigil sets {', '.join(reserved)} itself")
    if len(json.dumps(body)) > _MAX_EXTRA_BODY:
        raise ValueError("it is longer than 64 KB")
    return body


class OpenAIOptions(VendorOptions):
    """Options of `OpenAIProvider`; None stands for what the server is known to want.

    api: `chat` or `responses`.
    organization, project: of the account at OpenAI.
    max_tokens_field: what chat completions call the limit of the answer.
    read_timeout: seconds from one byte to the next.
    reasoning_effort: how much thinking models think.
    prompt_cache_key: send the session's opaque name, so that its calls use the same cache.
    send_user_id: send the person's opaque name, as `user_field`.
    metadata: sent with every call.
    store: whether the vendor keeps the answers; responses are not kept unless it is set.
    extra_body: further fields of every call, such as OpenRouter's `provider`.
    headers: further headers of every call.
    stream_usage: whether to ask chat completions for the usage of a stream.
    replay_thoughts: whether to give chat models their thoughts back with their tool calls.
    """

    api: Literal["chat", "responses"] | None = None
    organization: str | None = None
    project: str | None = None
    max_tokens_field: MaxTokensField | None = None
    read_timeout: Annotated[float, Field(gt=0, le=3600)] = 300.0
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = (
        None
    )
    prompt_cache_key: bool = False
    send_user_id: bool = False
    user_field: Literal["user", "safety_identifier"] | None = None
    # The bounds are the API's own.
    metadata: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=64)],
            Annotated[str, Field(max_length=512)],
        ],
        Field(max_length=16),
    ] = Field(default_factory=dict, repr=False)
    store: bool | None = None
    extra_body: Annotated[dict[str, JsonValue], AfterValidator(_check_extra_body)] = Field(
        default_factory=dict, repr=False
    )
    headers: Annotated[
        dict[str, SecretStr], Field(max_length=20), AfterValidator(_check_headers)
    ] = Field(default_factory=dict)
    stream_usage: bool | None = None
    replay_thoughts: bool | None = None

    def fill_in(self, defaults: Mapping[str, Any]) -> Self:
        """These options with `defaults` for those that are None."""
        missing = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        return self.model_copy(update=missing)

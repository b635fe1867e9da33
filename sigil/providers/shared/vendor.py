"""What all vendors have in common: keys and addresses, status codes, headers, pictures, answers
in their own form, and secrets to keep out."""

from __future__ import annotations

import json
import math
import re
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from sigil.conversation import Image, Message, Native, ToolDefinition
from sigil.errors import ConfigError, ErrorKind, ProviderError
from sigil.messages import clean as encodable
from sigil.providers.base import ChatRequest

NO_KEY = "none"
"""Stands for the key where there is none: SDKs insist on one, and such a server ignores it."""

_KINDS = {
    401: ErrorKind.AUTH,
    402: ErrorKind.BILLING,
    403: ErrorKind.AUTH,
    # A model that was retired or never existed there; the next one may well answer.
    404: ErrorKind.UNAVAILABLE,
    408: ErrorKind.TIMEOUT,
    413: ErrorKind.CONTEXT_TOO_LONG,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
}
_CONTEXT = re.compile(
    r"context[ _](?:length|window|size)|maximum context|input tokens? exceed|too many tokens"
    r"|prompt is too long|input is too long|input token count",
    re.IGNORECASE,
)
_FLAGGED = re.compile(r"content[ _](?:filter|policy|management)|flagged|moderation", re.IGNORECASE)
# Keys of vendors known by their form, and whatever follows the names of credentials.
_SECRETS = re.compile(
    r"\b(?:sk|rk|pk|gsk|xai|or)-[\w*-]{8,}|\bAIza[\w-]{20,}"
    r"|(?<=bearer )\S+|(?<=api[-_]key[=:])\s*\S+",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MAX_MESSAGE = 500
_MAX_REQUEST_ID = 128
_MAX_RETRY_AFTER = 24 * 3600.0
_MAX_TOKENS = 1_000_000_000
_MAX_NATIVE = 256 * 1024
_MAX_NAME = 64
_NO_NAME_CHARACTERS = re.compile(r"[^a-zA-Z0-9_-]")


def kind_of(status: int, message: str) -> ErrorKind:
    """The class of an HTTP answer that is not a success, by its status, then by its words."""
    if status in (400, 413, 422) and _CONTEXT.search(message):
        return ErrorKind.CONTEXT_TOO_LONG
    if status in (400, 403, 422) and _FLAGGED.search(message):
        return ErrorKind.FILTERED
    if status in _KINDS:
        return _KINDS[status]
    return ErrorKind.INVALID_REQUEST if 400 <= status < 500 else ErrorKind.SERVER


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the vendor asks (RFC 9110, 10.2.3), or None; a day at most."""
    milliseconds = headers.get("retry-after-ms")
    value = headers.get("retry-after")
    try:
        if milliseconds is not None:
            seconds = float(milliseconds) / 1000
        elif value is None:
            return None
        elif re.fullmatch(r"[\d.]+", value):
            seconds = float(value)
        else:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _MAX_RETRY_AFTER)


def clean(message: str, *secrets: str) -> str:
    """A vendor's message in one bounded line, without the secrets and what looks like one, nor
    what could drive a terminal."""
    for secret in secrets:
        if secret:
            message = message.replace(secret, "[secret]")
    message = _SECRETS.sub("[secret]", message)
    message = " ".join(_CONTROL.sub("", " ".join(message.split())).split())
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"


def checked_key(name: str, api_key: str | None, base_url: str | None) -> str:
    """A key that can be sent, or `NO_KEY` for a server at `base_url` that needs none.

    Raises `ConfigError`, which names the provider's key and never shows its value.
    """
    key = (api_key or "").strip()
    if not key:
        if base_url:
            return NO_KEY
        raise ConfigError(
            f"providers.{name}.api_key is empty.",
            hint="Set it, or set base_url for a server that needs none.",
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"providers.{name}.api_key has characters that no key can have.")
    return key


def host_of(name: str, base_url: str) -> str:
    """The host and port, which is what errors may show of an address. Raises `ConfigError`."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"providers.{name}.base_url is not an http(s) address.")
    return host if port is None else f"{host}:{port}"


def failed(
    provider: str,
    secret: str,
    kind: ErrorKind,
    message: str,
    *,
    status: int | None = None,
    request_id: object = None,
    wait: float | None = None,
    reached: bool = True,
) -> ProviderError:
    """The error of a provider of this name whose key is `secret`; `wait` is in seconds.

    `message` and `request_id` may be the vendor's, whatever they are.
    """
    text = clean(message, secret)
    named = isinstance(request_id, str) and bool(request_id)
    return ProviderError(
        f"{provider}: {text.rstrip('.')}.",
        kind=kind,
        provider=provider,
        status=status,
        request_id=clean(str(request_id), secret)[:_MAX_REQUEST_ID] if named else None,
        retry_after=wait,
        reached=reached,
        hint=f"Check providers.{provider}.api_key." if kind is ErrorKind.AUTH else None,
    )


def sound(request: ChatRequest, provider: str) -> ChatRequest:
    """The request as JSON in UTF-8 can hold it. A model or a tool may have written half a
    surrogate pair, which would keep the conversation from being sent ever again.

    Raises `ProviderError`, on behalf of the provider of this name, for what is no JSON at all.
    """
    prompt = request.system_prompt
    try:
        return replace(
            request,
            system_prompt=None if prompt is None else encodable(prompt),
            messages=tuple(map(_sound_message, request.messages)),
            tools=tuple(map(_sound_tool, request.tools)),
        )
    except (AttributeError, TypeError, RecursionError) as error:
        wrong = type(error).__name__
    raise ProviderError(
        f"{provider}: the request cannot be written ({wrong}).",
        kind=ErrorKind.INVALID_REQUEST,
        provider=provider,
        reached=False,
    )


def _sound_message(message: Message) -> Message:
    kept = message.native
    return replace(
        message,
        content=encodable(message.content),
        tool_calls=tuple(replace(c, arguments=_sound(c.arguments)) for c in message.tool_calls),
        native=None if kept is None else replace(kept, content=encodable(kept.content)),
    )


def _sound_tool(tool: ToolDefinition) -> ToolDefinition:
    return replace(
        tool, description=encodable(tool.description), parameters=_sound(tool.parameters)
    )


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {encodable(str(name)): _sound(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sound(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # as JavaScript writes it
    if value is None or isinstance(value, (int, float)):
        return value
    raise TypeError(type(value).__name__)


def parsed(text: str) -> Any:
    """What a model wrote as JSON. Raises `ValueError`, also for numbers that JSON has not, which
    could not be sent back."""
    return json.loads(text, parse_constant=_refused)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def schema_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's parameters with what vendors refuse to do without: its type, and properties, of
    which there may be none."""
    schema = dict(parameters)
    return {"type": "object", **schema, "properties": schema.get("properties") or {}}


def count(value: object) -> int:
    """A number of tokens as a vendor says it; nothing if that is not a number."""
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return min(max(value, 0), _MAX_TOKENS)


def inline(image: Image) -> tuple[str, str] | None:
    """The media type and the base64 of a picture in a `data:` URL (RFC 2397), None of one that
    has another address."""
    if image.url[:5].lower() != "data:":
        return None
    head, _, data = image.url[5:].partition(",")
    kind, *parameters = head.split(";")
    if "base64" not in [parameter.strip().lower() for parameter in parameters]:
        data = b64encode(unquote_to_bytes(data)).decode()
    return kind.strip().lower() or image.mime_type, data


def native(api: str, model: str, content: Any) -> Native | None:
    """An answer in its vendor's form; None if it is too long to keep."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Native(api, model, text) if len(text.encode("utf-8", "replace")) <= _MAX_NATIVE else None


def replayed(message: Message, api: str, model: str) -> Any:
    """What `native` kept, if it is of this API and model, as parsed JSON; else None."""
    kept = message.native
    if kept is None or kept.api != api or kept.model != model:
        return None
    try:
        return json.loads(kept.content)
    except (ValueError, RecursionError):
        return None


class ToolNames:
    """The names of a request's tools as every vendor takes them: letters, digits, `_` and `-`, 64
    at most, and first a letter or `_`. A name that has to change and would be another's gets a
    number."""

    def __init__(self, tools: Iterable[ToolDefinition]) -> None:
        self._names: dict[str, str] = {}
        for tool in tools:
            self.wire(tool.name)

    def wire(self, name: str) -> str:
        """The name that the vendor is given."""
        known = next((wire for wire, own in self._names.items() if own == name), None)
        if known is not None:
            return known
        plain = _NO_NAME_CHARACTERS.sub("_", name)
        if not plain or not (plain[0].isalpha() or plain[0] == "_"):
            plain = f"_{plain}"
        wire = plain = plain[:_MAX_NAME]
        number = 1
        while wire in self._names:
            number += 1
            wire = f"{plain[: _MAX_NAME - len(str(number)) - 1]}_{number}"
        self._names[wire] = name
        return wire

    def own(self, wire: str) -> str:
        """The tool's own name; a name that was never given is returned as it is."""
        return self._names.get(wire, wire)

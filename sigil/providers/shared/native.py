"""Answers in their vendor's own form, kept beside the neutral one.

An answer with tool calls goes back to its model with the results. Only the vendor's own form holds
everything that the model wants to see again, such as its signed thoughts.
"""

from __future__ import annotations

import json
from typing import Any

from sigil.messages.conversation import Message, Native

_MAX_NATIVE = 256 * 1024


def encode_native(api: str, model: str, content: Any) -> Native | None:
    """The answer of a model as its API takes it back; None if it is too long to keep (256 KB)."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Native(api, model, text) if len(text.encode("utf-8", "replace")) <= _MAX_NATIVE else None


def decode_native(message: Message, api: str, model: str) -> Any:
    """The JSON that `encode_native` kept with a message; None if there is none, or if it belongs
    to another API or model."""
    native = message.native
    if native is None or native.api != api or native.model != model:
        return None
    try:
        return json.loads(native.content)
    except (ValueError, RecursionError):
        return None

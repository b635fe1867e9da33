"""Keeps secrets and control characters out of what vendors say."""

from __future__ import annotations

import re

# Keys of known vendors by their form, and whatever follows the name of a credential.
_SECRETS = re.compile(
    r"\b(?:sk|rk|pk|gsk|xai|or)-[\w*-]{8,}|\bAIza[\w-]{20,}"
    r"|(?<=bearer )\S+|(?<=api[-_]key[=:])\s*\S+",
    re.IGNORECASE,
)
# Also the marks that turn the direction of writing around, which could disguise a text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MAX_MESSAGE = 500


def redact(message: str, *secrets: str) -> str:
    """A vendor's message as one line of at most 500 characters, with `secrets`, likely secrets
    and control characters removed."""
    for secret in secrets:
        if secret:
            message = message.replace(secret, "[secret]")
    message = _SECRETS.sub("[secret]", message)
    message = " ".join(_CONTROL.sub("", " ".join(message.split())).split())
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"

"""Which names of settings mean secrets."""

from __future__ import annotations

import functools
import re

_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_SECRET_WORDS = frozenset(
    {
        *("apikey", "authorization", "bearer", "cookie", "cookies", "credential", "credentials"),
        *("pass", "passphrase", "passwd", "password", "pin", "pwd", "secret", "secrets", "token"),
    }
)
# A bare `key` names many harmless things. Beside one of these words it is a secret.
_KEY_WORDS = frozenset({"access", "api", "auth", "encryption", "master", "private", "signing"})


@functools.lru_cache(maxsize=1024)  # log lines ask about the same few names again and again
def looks_secret(name: str) -> bool:
    """Whether a value of this name must not be shown: `bot_token`, `apiKey`."""
    words = {word.lower() for word in _WORDS.findall(name)}
    return bool(words & _SECRET_WORDS) or ("key" in words and bool(words & _KEY_WORDS))

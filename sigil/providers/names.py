"""Names: of models, `provider/model`, and of keys, which must not be shown themselves."""

from __future__ import annotations

import hashlib

from sigil.errors import ConfigError


def split_name(full_name: str) -> tuple[str, str]:
    """Splits `provider/model` at the first slash. Raises `ConfigError` if a part is missing."""
    provider, slash, model = full_name.partition("/")
    if not (slash and provider and model):
        raise ConfigError(
            f"{full_name!r} is not the name of a model.", hint="Write it as provider/model."
        )
    return provider, model


def fingerprint(provider: str, key: str) -> str:
    """Names a key where the key itself must not appear: 12 hex digits, empty for no key.

    The provider's name is hashed along, so that the same key at two providers has two names:
    nobody can tell from the names that the key is shared.
    """
    key = key.strip()
    if not key:
        return ""
    return hashlib.sha256(f"{provider}\0{key}".encode()).hexdigest()[:12]

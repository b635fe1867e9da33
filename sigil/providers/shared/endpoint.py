"""Where a provider sends its requests, and with which key."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from sigil.errors import ConfigError

NO_KEY = "none"
"""Stands for the key of a server that needs none: SDKs insist on a key, such servers ignore it."""

# A shorter value of a header is a common word, which may stand in any message.
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server, as the provider of this name calls it.

    Errors show `provider` and `host` (with its port), and neither `key` nor the other `secrets`,
    such as the values of headers.
    """

    provider: str
    base_url: str
    host: str
    key: SecretStr
    secrets: tuple[SecretStr, ...] = ()

    def list_secrets(self) -> list[str]:
        """The texts that must not be shown."""
        key = self.key.get_secret_value()
        values = (secret.get_secret_value() for secret in self.secrets)
        long = [value for value in values if len(value) >= _SHORTEST_SECRET]
        return long if key == NO_KEY else [key, *long]


def read_host(provider: str, base_url: str) -> str:
    """The host, and the port if there is one. Raises `ConfigError` if it is not an http(s)
    address."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"providers.{provider}.base_url is not an http(s) address.")
    return host if port is None else f"{host}:{port}"


def check_key(provider: str, api_key: str | None, *, is_needed: bool) -> SecretStr:
    """A key that can be sent; `NO_KEY` if none is given and none is needed.

    Raises `ConfigError`, which names the provider and never shows the key.
    """
    key = (api_key or "").strip()
    if not key:
        if not is_needed:
            return SecretStr(NO_KEY)
        raise ConfigError(
            f"providers.{provider}.api_key is empty.",
            hint="Set it, or set base_url for a server that needs none.",
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"providers.{provider}.api_key has characters that no key can have.")
    return SecretStr(key)

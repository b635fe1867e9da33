"""What must not be shown: finding secrets in the settings, and showing settings without them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import SecretStr

from sigil.config.schema import Settings

MASK = "********"

_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_SECRET_WORDS = frozenset(
    {
        *("apikey", "authorization", "bearer", "cookie", "cookies", "credential", "credentials"),
        *("pass", "passphrase", "passwd", "password", "pin", "pwd", "secret", "secrets", "token"),
    }
)
# A bare `key` names many harmless things; with one of these beside it, it opens something.
_KEY_WORDS = frozenset({"access", "api", "auth", "encryption", "master", "private", "signing"})
# Quotes end a URL, so that in a line of JSON nothing beyond it is taken for a part of it.
_USER_INFO = re.compile(r"""(://)[^\s/?#@"']*:[^\s/?#"']*@""")
_QUERY = re.compile(
    r"""([?&][^=&\s"']*(?:key|pass|secret|token)[^=&\s"']*=)[^&\s#"'\\]+""", re.IGNORECASE
)


def looks_secret(name: str) -> bool:
    """Whether what goes by this name is to be kept out of sight: `bot_token`, `apiKey`."""
    words = {word.lower() for word in _WORDS.findall(name)}
    return bool(words & _SECRET_WORDS) or ("key" in words and bool(words & _KEY_WORDS))


def mask_url(text: str) -> str:
    """The text with the passwords of any URLs in it masked."""
    return _QUERY.sub(rf"\g<1>{MASK}", _USER_INFO.sub(rf"\g<1>{MASK}@", text))


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as plain data for people to see, with `MASK` in place of every secret."""
    shown: dict[str, Any] = _masked(settings.model_dump())
    if settings.redis.url is not None:
        shown["redis"]["url"] = _masked_redis(settings.redis.url.get_secret_value())
    return shown


def secret_values(settings: Settings) -> set[str]:
    """Every secret in the settings, also those in URLs and in options that look like one."""
    return {value for value in _secrets(settings.model_dump()) if value}


def _hidden(path: tuple[str, ...]) -> bool:
    """Whether this path leads into an option of a channel or provider that is a secret by its
    name. Other secrets are known by their type; ids may be anything."""
    if len(path) < 4 or path[0] not in {"channels", "providers"} or path[2] != "options":
        return False
    return any(looks_secret(name) or "key" in name.lower() for name in path[3:])


def _masked(value: Any, path: tuple[str, ...] = ()) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {key: _masked(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, path) for item in value]
    if isinstance(value, SecretStr) or _hidden(path):
        return MASK
    return value if isinstance(value, (int, float)) else mask_url(str(value))


def _masked_redis(url: str) -> str:
    scheme, _, rest = url.partition("://")
    _, at, place = rest.rpartition("@")
    return mask_url(f"{scheme}://{MASK}@{place}" if at else url)


def _secrets(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, path)
    elif isinstance(value, SecretStr):
        yield from _with_password(value.get_secret_value(), secret=True)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield from _with_password(str(value), secret=_hidden(path))


def _with_password(text: str, *, secret: bool) -> Iterator[str]:
    if secret:
        yield text
    _, scheme, rest = text.partition("://")
    user_info, at, _ = rest.rpartition("@")
    password = user_info.partition(":")[2]
    if scheme and at and password:
        yield password
        yield unquote(password)

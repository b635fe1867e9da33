"""Finds the secrets in the settings, and shows the settings without them.

A secret is known in one of three ways: by its type (`SecretStr`), by the name of an option of a
channel or provider (`bot_token`), or by its place in a URL (`redis://user:password@host`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import SecretStr

from sigil.config.schema import Settings
from sigil.config.secret_names import looks_secret

MASK = "********"

# A quote ends a URL, so that in a line of JSON the match does not run into the next value.
_USER_INFO = re.compile(r"""(://)[^\s/?#@"']*:[^\s/?#"']*@""")
_QUERY = re.compile(
    r"""([?&][^=&\s"']*(?:key|pass|secret|token)[^=&\s"']*=)[^&\s#"'\\]+""", re.IGNORECASE
)


def mask_urls(text: str) -> str:
    """Masks the passwords and tokens of all URLs in the text."""
    if "://" in text:
        text = _USER_INFO.sub(rf"\g<1>{MASK}@", text)
    return _QUERY.sub(rf"\g<1>{MASK}", text) if "=" in text else text


def mask_settings(settings: Settings) -> dict[str, Any]:
    """The settings as plain data for people to see, with `MASK` in place of every secret."""
    shown: dict[str, Any] = _mask(settings.model_dump())
    if settings.redis.url is not None:
        # The user name goes too: for Redis it may be a part of the credentials.
        scheme, _, rest = settings.redis.url.get_secret_value().partition("://")
        _, at, place = rest.rpartition("@")
        shown["redis"]["url"] = mask_urls(f"{scheme}://{MASK if at else ''}{at}{place}")
    return shown


def find_secrets(settings: Settings) -> set[str]:
    """Every secret in the settings, including those in URLs and in options that look secret."""
    return {value for value in _find_secrets(settings.model_dump()) if value}


def _is_secret_option(path: tuple[str, ...]) -> bool:
    """Whether this path leads into an option of a channel or provider whose name is secret.

    Other names say nothing: ids may be any word, and other secrets are known by their type.
    """
    if len(path) < 4 or path[0] not in {"channels", "providers"} or path[2] != "options":
        return False
    return any(looks_secret(name) or "key" in name.lower() for name in path[3:])


def _mask(value: Any, path: tuple[str, ...] = ()) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {key: _mask(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask(item, path) for item in value]
    if isinstance(value, SecretStr) or _is_secret_option(path):
        return MASK
    return value if isinstance(value, (int, float)) else mask_urls(str(value))


def _find_secrets(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _find_secrets(item, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _find_secrets(item, path)
    elif isinstance(value, SecretStr):
        text = value.get_secret_value()
        yield text
        yield from _find_passwords(text)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        if _is_secret_option(path):
            yield str(value)
        yield from _find_passwords(str(value))


def _find_passwords(text: str) -> Iterator[str]:
    """The password in a URL, as it stands there and percent-decoded."""
    _, scheme, rest = text.partition("://")
    user_info, at, _ = rest.rpartition("@")
    password = user_info.partition(":")[2]
    if scheme and at and password:
        yield password
        yield unquote(password)

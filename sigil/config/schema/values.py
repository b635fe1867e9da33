"""The kinds of values in the settings, with their bounds."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_core import PydanticCustomError

from sigil.config.redis_urls import FORM, SCHEME, SentinelUrl

_REDIS_SCHEMES = ("redis://", "rediss://", "unix://", SCHEME)


def _refuse_flag(value: Any) -> Any:
    """Python counts True as 1, so a flag would pass for a number."""
    if isinstance(value, bool):
        raise PydanticCustomError("not_a_flag", "must be a number, not true or false")
    return value


def _strip_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()  # files that hold a secret end with a line break
    if not text:
        raise PydanticCustomError("secret_empty", "is empty; remove it or give it a value")
    return SecretStr(text)


def _check_redis_url(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith(_REDIS_SCHEMES):
        raise PydanticCustomError(
            "redis_url", f"must start with one of {', '.join(_REDIS_SCHEMES)}"
        )
    if text.startswith(SCHEME):
        try:
            SentinelUrl.parse(text)
        except ValueError:
            raise PydanticCustomError("redis_url", f"must have the form {FORM}") from None
        return value
    try:
        _ = urlsplit(text).port
    except ValueError:  # its own message would show a part of the password
        raise PydanticCustomError(
            "redis_url_parts",
            "has a host or port that cannot be read; percent-encode the password ('/' is %2F)",
        ) from None
    return value


def _check_network(value: str) -> str:
    if _HOST.fullmatch(value) and not value.replace(".", "").isdigit():
        return value.lower()
    try:
        return str(ip_network(value))
    except ValueError:
        raise PydanticCustomError(
            "network", "must be a host, an address or a network such as 192.168.1.0/24"
        ) from None


def _to_upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_MODEL = r"^[^\s/]+/[^\s]+$"
_IDENTITY = r"^[^\s:]+:\S.*$"
_TYPE = r"^(?:[A-Za-z0-9][A-Za-z0-9_-]{0,63}|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$"
_PREFIX = r"^[A-Za-z0-9:_.-]{1,64}$"
_BYTES = r"^(?:0|[1-9][0-9]{0,17}(?:kb|mb|gb)?)$"
_HTTP_URL = r"^https?://\S+$"

PATTERNS = {
    _NAME: "must be a name of letters, digits, '.', '_' and '-'",
    _MODEL: "must be a model's full name, provider/model",
    _IDENTITY: "must be channel:platform_id",
    _TYPE: "must be a built-in type or package.module:Class",
    _PREFIX: "must be 1 to 64 letters, digits, ':', '_', '.' or '-'",
    _BYTES: "must be a number of bytes, or of kb, mb or gb, such as 512mb",
    _HTTP_URL: "must be an http:// or https:// URL",
}
"""What to say about a text that does not match the pattern."""

Number = BeforeValidator(_refuse_flag)
Secret = Annotated[SecretStr, AfterValidator(_strip_secret)]
RedisUrl = Annotated[SecretStr, AfterValidator(_check_redis_url)]
Name = Annotated[str, StringConstraints(pattern=_NAME)]
ModelName = Annotated[str, StringConstraints(pattern=_MODEL, max_length=256)]
IdentityName = Annotated[str, StringConstraints(pattern=_IDENTITY, max_length=512)]
PlatformId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Prompt = Annotated[str, StringConstraints(max_length=65_536)]
TypeName = Annotated[str, StringConstraints(pattern=_TYPE, max_length=256)]
ByteCount = Annotated[str, StringConstraints(pattern=_BYTES, to_lower=True)]
KeyPrefix = Annotated[str, StringConstraints(pattern=_PREFIX)]
HttpUrl = Annotated[str, StringConstraints(pattern=_HTTP_URL, max_length=2048)]
HostName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
NetworkName = Annotated[str, AfterValidator(_check_network)]
Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_to_upper)
]
Seconds = Annotated[float, Field(gt=0, le=86_400), Number]
Count = Annotated[int, Field(ge=1, le=1_000_000), Number]
Usd = Annotated[float, Field(ge=0, le=1e6), Number]
Tokens = Annotated[int, Field(ge=1, le=100_000_000), Number]

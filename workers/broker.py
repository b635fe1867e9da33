"""Where the broker is, by Sigil's settings. Shared by consumers and publishers."""

from __future__ import annotations

from typing import Any

from redis.backoff import NoBackoff
from redis.retry import Retry

from sigil.config import Settings
from sigil.host.valkey_address import find_store_url
from sigil.redis_urls import SCHEME, SentinelUrl, to_broker_url

# Tried against servers that were killed, frozen and cut off (docs/decisions/0003).
_TRANSPORT_OPTIONS: dict[str, Any] = {
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    # Messages are acknowledged early, so kombu's list of what is in flight is written and
    # cleared before the task runs. Without it a task costs 2 Redis commands instead of 10.
    "ack_emulation": False,
}

# A Sentinel that is away is passed over for the next one, where redis-py would insist.
_ASKING = {"socket_timeout": 5, "socket_connect_timeout": 5, "retry": Retry(NoBackoff(), 0)}


def url(settings: Settings) -> str:
    """The same server as kombu names it."""
    return to_broker_url(find_store_url(settings))


def transport_options(settings: Settings) -> dict[str, Any]:
    """Timeouts, the prefix of every key of the broker, and what Sentinel calls the primary."""
    options: dict[str, Any] = _TRANSPORT_OPTIONS | {
        "global_keyprefix": f"{settings.redis.prefix}broker:"
    }
    server = find_store_url(settings)
    if server.startswith(SCHEME):
        options["master_name"] = SentinelUrl.parse(server).master
        options["sentinel_kwargs"] = _ASKING
    return options

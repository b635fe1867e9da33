"""Where the broker is, according to Sigil's settings. Shared by consumers and publishers."""

from __future__ import annotations

from typing import Any

from redis.backoff import NoBackoff
from redis.retry import Retry

from sigil.config import Settings
from sigil.config.redis_urls import SCHEME, SentinelUrl, to_broker_url
from sigil.host.valkey_address import find_store_url

# Found by trial against servers that were killed, frozen and cut off (docs/decisions/0003).
_TRANSPORT_OPTIONS: dict[str, Any] = {
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    # A connection that has fallen silent is given up after 11 to 21 s.
    "health_check_interval": 10,
    # kombu can keep a list of messages in flight. Ours are acknowledged before the task runs, so
    # the list would be written and cleared for nothing. Without it a task costs 2 Redis commands
    # instead of 10.
    "ack_emulation": False,
}

# If a Sentinel is away we ask the next one; by default redis-py would ask the same one again.
_SENTINEL_OPTIONS = {
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "retry": Retry(NoBackoff(), 0),
}


def url(settings: Settings) -> str:
    """The same server as kombu names it."""
    return to_broker_url(find_store_url(settings))


def transport_options(settings: Settings) -> dict[str, Any]:
    """Timeouts, the prefix of the broker's keys, and the name that Sentinel has for the primary."""
    options: dict[str, Any] = _TRANSPORT_OPTIONS | {
        "global_keyprefix": f"{settings.redis.prefix}broker:"
    }
    server = find_store_url(settings)
    if server.startswith(SCHEME):
        options["master_name"] = SentinelUrl.parse(server).master
        options["sentinel_kwargs"] = _SENTINEL_OPTIONS
    return options

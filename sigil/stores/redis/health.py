"""What all workers learned about models: cooldowns and probes, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client


class RedisHealth:
    """A `HealthStore`."""

    def __init__(self, client: Client) -> None:
        self._client = client

"""Where Sigil keeps its state: small protocols (`base`) and their Redis implementation."""

from __future__ import annotations

from sigil.stores.base import Stores


def connect(url: str, *, prefix: str = "sigil:", retention_days: int = 7) -> Stores:
    """Every store over the Redis or Valkey at `url`. Opens no connection yet.

    Raises `ConfigError` for a URL of an unknown kind.
    """
    from sigil.stores.redis import build_stores
    from sigil.stores.redis.client import build_client
    from sigil.stores.redis.keys import Keys

    return build_stores(build_client(url, Keys(prefix)), retention_days=retention_days)


__all__ = ["Stores", "connect"]

"""The connection to Redis: pools, named scripts, and the translation of its errors."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from sigil.errors import ConfigError, StoreError
from sigil.redis_urls import SCHEME
from sigil.stores.redis import sentinel
from sigil.stores.redis.batch import Batcher
from sigil.stores.redis.keys import Keys

# What some scripts share beyond the prelude.
_SHARED = {
    **dict.fromkeys(("push", "commit", "show"), "_effects"),
    **dict.fromkeys(("reserve", "settle", "expire", "spending", "subjects"), "_budgets"),
}
_BLOCKING_CONNECTIONS = 512


@functools.cache
def script_text(name: str) -> str:
    """The text of a named script, with what all scripts share in front."""
    folder = resources.files("sigil.stores") / "lua"
    parts = ["_prelude"] + ([_SHARED[name]] if name in _SHARED else []) + [name]
    return "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in parts)


class Client:
    """One backend. Opens its connections on first use, inside the running loop.

    `blocking` is for reads that wait; its connections have no socket timeout.
    """

    def __init__(
        self,
        redis: aioredis.Redis,
        keys: Keys,
        *,
        blocking: Callable[[], aioredis.Redis] | None = None,
    ) -> None:
        # Untyped: redis-py's answers are typed `bytes | str`, whatever `decode_responses` says.
        self.redis: Any = redis
        self.keys = keys
        self._batcher = Batcher(self.redis)
        self._make_blocking = blocking
        self._blocking: aioredis.Redis | None = None
        self._shas: dict[str, str] = {}
        self._secret: bytes | None = None

    @property
    def blocking(self) -> Any:
        if self._make_blocking is None:
            return self.redis
        if self._blocking is None:
            self._blocking = self._make_blocking()
        return self._blocking

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Turns what redis-py raises into `StoreError`, with its cause."""
        try:
            yield
        except ResponseError as error:
            failed = StoreError(f"Redis refused a command ({type(error).__name__}).")
            # A command or script that is wrong stays wrong; a server that is short of memory,
            # read-only or failing over will answer again.
            failed.transient = not str(error).startswith(("ERR", "WRONGTYPE"))
            raise failed from error
        except (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise StoreError(f"Redis did not answer ({type(error).__name__}).") from error

    async def script(self, name: str, keys: Sequence[Any] = (), args: Sequence[Any] = ()) -> Any:
        """Runs a named script; `args` follow the prefix, which is always ARGV[1]."""
        values = (*keys, self.keys.prefix, *args)
        with self.guard():
            sha = self._shas.get(name)
            if sha is not None:
                try:
                    return await self._batcher.call("EVALSHA", sha, len(keys), *values)
                except NoScriptError:  # the server restarted
                    pass
            sha = await self.redis.script_load(script_text(name))
            self._shas[name] = sha.decode() if isinstance(sha, bytes) else sha
            return await self.redis.evalsha(self._shas[name], len(keys), *values)

    async def call(self, *command: Any) -> Any:
        """Runs one command, in a round trip that it may share with others."""
        with self.guard():
            return await self._batcher.call(*command)

    async def secret(self) -> bytes:
        """The key of this installation's opaque names, made once and kept in the store."""
        if self._secret is None:
            with self.guard():
                await self.redis.set(self.keys.secret(), secrets.token_hex(32), nx=True)
                self._secret = await self.redis.get(self.keys.secret())
        if self._secret is None:
            raise StoreError("the installation's key vanished from the store.")
        return self._secret

    async def ping(self) -> None:
        with self.guard():
            await self.redis.ping()

    async def warnings(self) -> list[str]:
        """What about this server may lose or evict data."""
        with self.guard():
            memory = await self.redis.info("memory")
            persistence = await self.redis.info("persistence")
        found = []
        if memory.get("maxmemory_policy", "noeviction") != "noeviction":
            found.append(
                f"maxmemory-policy is {memory['maxmemory_policy']}: keys may be evicted. "
                "Set it to noeviction."
            )
        if not persistence.get("aof_enabled", 0):
            found.append(
                "appendonly is off: a crash of the server loses messages. "
                "Set appendonly yes and appendfsync always."
            )
        return found

    async def close(self) -> None:
        for client in (self.redis, self._blocking):
            if client is not None:
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()


def from_url(url: str, keys: Keys, *, max_connections: int = 64) -> Client:
    """A client for `redis://`, `rediss://`, `unix://` or `sentinel://`. Opens no connection.

    The pool waits for a free connection instead of failing, so that a burst of turns shares
    a bounded number of sockets. Raises `ConfigError` for a URL that cannot be read.
    """
    try:
        pool = _pool(url, max_connections=max_connections, socket_timeout=5)
        pool.connection_class(**pool.connection_kwargs)  # not connected; knows all options
    except (ValueError, TypeError):
        # Neither the URL nor the error, which quotes parts of it, may be shown: a password.
        raise ConfigError(
            "redis.url is not a redis://, rediss://, unix:// or sentinel:// URL that can be read.",
            hint="Check scheme, port and options, and percent-encode the password (/ is %2F).",
        ) from None

    def blocking() -> aioredis.Redis:
        return aioredis.Redis.from_pool(
            _pool(url, max_connections=_BLOCKING_CONNECTIONS, socket_timeout=None)
        )

    return Client(aioredis.Redis.from_pool(pool), keys, blocking=blocking)


def _pool(url: str, **options: Any) -> aioredis.BlockingConnectionPool:
    make = sentinel.pool if url.startswith(SCHEME) else aioredis.BlockingConnectionPool.from_url
    return make(url, timeout=10, socket_connect_timeout=5, retry=_reconnecting(), **options)


def _reconnecting() -> Retry:
    """A cut connection is replaced and the command repeated, which every script can bear. A
    server that is silent is not asked again: that is for the caller to decide."""
    backoff = ExponentialWithJitterBackoff(base=0.02, cap=0.5)
    return Retry(backoff, 3, supported_errors=(RedisConnectionError,))

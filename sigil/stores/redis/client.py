"""The connection to Redis: pools, named scripts, and the translation of its errors."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from sigil.config.redis_urls import SCHEME
from sigil.errors import ConfigError
from sigil.stores.base import Memory
from sigil.stores.redis import sentinel, server
from sigil.stores.redis.batch import Batcher
from sigil.stores.redis.keys import Keys
from sigil.stores.redis.refusals import translate

# The shared parts that some scripts need beyond the prelude.
_SHARED = {
    "push": ("_room", "_people", "_records", "_pushes", "_effects", "_limits"),
    **dict.fromkeys(("commit", "show"), ("_people", "_records", "_pushes", "_effects")),
    **dict.fromkeys(("room", "touch", "keep_blob"), ("_room",)),
    **dict.fromkeys(("add_user", "pair"), ("_people",)),
    "report": ("_records",),
    **dict.fromkeys(("reserve", "settle", "expire", "spending", "subjects"), ("_budgets",)),
}
_BLOCKING_CONNECTIONS = 512
# After so many seconds without an answer a link is taken for dead.
ANSWER_WITHIN_S = 5.0


@functools.cache
def script_text(name: str) -> str:
    """The text of a named script, with the parts that it shares with others in front."""
    folder = resources.files("sigil.stores") / "lua"
    parts = ("_prelude", *_SHARED.get(name, ()), name)
    return "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in parts)


class Client:
    """One server. Opens its connections on first use, inside the running loop.

    `blocking` makes a second client for reads that wait. Its connections have no socket timeout, so
    each read has one of its own: what it waits for, and `ANSWER_WITHIN_S`.
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
        self._batcher = Batcher(redis.connection_pool)
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
        """Translates what redis-py raises inside the block to `StoreError`, with its cause."""
        try:
            yield
        except (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise translate(error) from error

    async def run_script(
        self, name: str, keys: Sequence[Any] = (), args: Sequence[Any] = ()
    ) -> Any:
        """Runs a named script and returns its answer. ARGV[1] is always the key prefix; `args`
        follow it.

        The server knows a script by its hash, so the text is sent once per process. A server that
        was restarted has forgotten it, and gets it again.
        """
        values = (*keys, self.keys.prefix, *args)
        with self.guard():
            sha = self._shas.get(name)
            if sha is not None:
                try:
                    return await self._batcher.call("EVALSHA", sha, len(keys), *values)
                except NoScriptError:
                    pass
            sha = (await self._batcher.call("SCRIPT", "LOAD", script_text(name))).decode()
            self._shas[name] = sha
            return await self._batcher.call("EVALSHA", sha, len(keys), *values)

    async def call(self, *command: Any) -> Any:
        """Runs one command and returns its answer as Redis sent it. It may share its round trip
        with others."""
        with self.guard():
            return await self._batcher.call(*command)

    async def read_time(self) -> datetime:
        """The time of the server, the only clock that all processes share."""
        seconds, micros = await self.call("TIME")
        return datetime.fromtimestamp(int(seconds) + int(micros) / 1e6, UTC)

    async def read_secret(self) -> bytes:
        """The key of this installation's opaque names. It is made once and kept in the store.
        Raises `ConfigError` if it was lost."""
        if self._secret is None:
            self._secret = await server.read_secret(self)
        return self._secret

    async def ping(self) -> None:
        with self.guard():
            await self.redis.ping()

    async def check_start(self) -> None:
        await server.check_start(self)

    async def check_room(self) -> None:
        await server.check_room(self)

    async def read_memory(self) -> Memory:
        return await server.read_memory(self)

    async def list_warnings(self) -> list[str]:
        return await server.list_warnings(self)

    async def close(self) -> None:
        for client in (self.redis, self._blocking):
            if client is not None:
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()


def build_client(url: str, keys: Keys, *, max_connections: int = 64) -> Client:
    """A client for `redis://`, `rediss://`, `unix://` or `sentinel://`. Opens no connection.

    The pool waits for a free connection instead of failing, so that a burst of turns shares
    a bounded number of sockets. Raises `ConfigError` for a URL that cannot be read.
    """
    try:
        pool = _build_pool(url, max_connections=max_connections, socket_timeout=ANSWER_WITHIN_S)
        pool.connection_class(**pool.connection_kwargs)  # checks all options; does not connect
    except (ValueError, TypeError):
        # The URL may hold a password, and the error quotes parts of the URL: neither is shown.
        raise ConfigError(
            "redis.url is not a redis://, rediss://, unix:// or sentinel:// URL that can be read.",
            hint="Check scheme, port and options, and percent-encode the password (/ is %2F).",
        ) from None

    def connect_blocking() -> aioredis.Redis:
        return aioredis.Redis.from_pool(
            _build_pool(url, max_connections=_BLOCKING_CONNECTIONS, socket_timeout=None)
        )

    return Client(aioredis.Redis.from_pool(pool), keys, blocking=connect_blocking)


def _build_pool(url: str, **options: Any) -> aioredis.BlockingConnectionPool:
    from_url = aioredis.BlockingConnectionPool.from_url
    build = sentinel.build_pool if url.startswith(SCHEME) else from_url
    # A cut connection is replaced and the command repeated, which every script can bear. A server
    # that stays silent is not asked again here: the caller decides about that.
    backoff = ExponentialWithJitterBackoff(base=0.02, cap=0.5)
    retry = Retry(backoff, 3, supported_errors=(RedisConnectionError,))
    return build(url, timeout=10, socket_connect_timeout=5, retry=retry, **options)

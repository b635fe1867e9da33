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

from sigil.config.redis_urls import SCHEME
from sigil.errors import ConfigError, StoreError
from sigil.stores.redis import sentinel
from sigil.stores.redis.batch import Batcher
from sigil.stores.redis.keys import Keys

# The shared parts that some scripts need beyond the prelude.
_SHARED = {
    **dict.fromkeys(("push", "commit", "show"), ("_people", "_records", "_pushes", "_effects")),
    **dict.fromkeys(("add_user", "pair"), ("_people",)),
    **dict.fromkeys(("reserve", "settle", "expire", "spending", "subjects"), ("_budgets",)),
}
_BLOCKING_CONNECTIONS = 512


@functools.cache
def script_text(name: str) -> str:
    """The text of a named script, with the parts that it shares with others in front."""
    folder = resources.files("sigil.stores") / "lua"
    parts = ("_prelude", *_SHARED.get(name, ()), name)
    return "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in parts)


class Client:
    """One server. Opens its connections on first use, inside the running loop.

    `blocking` makes a second client for reads that wait; its connections have no socket timeout.
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
        except ResponseError as error:
            translated = StoreError(f"Redis refused a command ({type(error).__name__}).")
            # Redis starts an error with its kind; redis-py takes most kinds off the text. These two
            # mean that the command or script is wrong, and repeating it will not help. All others
            # (out of memory, read-only, failing over) will pass.
            is_wrong = error.status_code == "ERR" or str(error).startswith("WRONGTYPE")
            translated.transient = not is_wrong
            raise translated from error
        except (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise StoreError(f"Redis did not answer ({type(error).__name__}).") from error

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

    async def read_secret(self) -> bytes:
        """The key of this installation's opaque names. It is made once and kept in the store."""
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

    async def list_warnings(self) -> list[str]:
        """Settings of the server that may lose or evict data, as sentences."""
        with self.guard():
            memory = await self.redis.info("memory")
            persistence = await self.redis.info("persistence")
        warnings = []
        if memory.get("maxmemory_policy", "noeviction") != "noeviction":
            warnings.append(
                f"maxmemory-policy is {memory['maxmemory_policy']}: keys may be evicted. "
                "Set it to noeviction."
            )
        if not persistence.get("aof_enabled", 0):
            warnings.append(
                "appendonly is off: a crash of the server loses messages. "
                "Set appendonly yes and appendfsync always."
            )
        return warnings

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
        pool = _build_pool(url, max_connections=max_connections, socket_timeout=5)
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

"""kombu's transport, except that a worker outlives what passes: a Redis that takes no writes for a
while, and one whose memory is full.

kombu takes every error that Redis answers for final, and the worker would end. But a primary that
becomes a replica answers so, and one with too few replicas or a full disk, or whose user has lost a
right. Such an error counts as a lost connection: Celery connects again, until Redis takes what is
needed.

When kombu consumes a queue, it also writes down to which exchange the queue is bound, and Redis
refuses that when its memory is full. So the worker would not start, although it is wanted: only
work that is finished frees memory. Nobody needs what was to be written. Wake-ups go straight to
their queues, and remote control reaches workers by pub/sub; only its answers get lost meanwhile.
"""

# kombu is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError, OutOfMemoryError, ResponseError

from sigil.stores.redis.refusals import translate

log = structlog.get_logger(__name__)

_REFUSED_PAUSE_S = 1.0


class _OutlivesRefusals:
    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        with _reconnect_after_refusals(), _leave_out(queue):
            super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[misc]  # kombu's

    def _size(self, queue: str) -> int:
        with _reconnect_after_refusals():
            return int(super()._size(queue))  # type: ignore[misc]  # kombu's

    def _brpop_read(self, **options: Any) -> Any:
        with _reconnect_after_refusals():
            return super()._brpop_read(**options)  # type: ignore[misc]  # kombu's

    def _refresh_bindings(self, queues: Sequence[str]) -> None:
        # Otherwise kombu would try again, and log it, after each message.
        with _leave_out(*queues):
            super()._refresh_bindings(queues)  # type: ignore[misc]  # kombu's


@contextlib.contextmanager
def _reconnect_after_refusals() -> Iterator[None]:
    try:
        yield
    except ResponseError as error:
        reason = translate(error)
        if not reason.transient:
            raise
        # Celery logs no more than that the connection was lost, and connects again at once.
        log.warning("no wake-ups can be read", reason=str(reason))
        time.sleep(_REFUSED_PAUSE_S)
        raise ConnectionError(str(reason)) from error


@contextlib.contextmanager
def _leave_out(*queues: str) -> Iterator[None]:
    try:
        yield
    except OutOfMemoryError:
        log.warning("the memory of Redis is full, bindings were left out", queues=queues)


class _Channel(_OutlivesRefusals, redis.Channel):
    pass


class _SentinelChannel(_OutlivesRefusals, redis.SentinelChannel):
    pass


class Transport(redis.Transport):
    """To a single server."""

    Channel = _Channel


class SentinelTransport(redis.SentinelTransport):
    """To the primary that Sentinels name."""

    Channel = _SentinelChannel


def install() -> None:
    """From now on the schemes of Redis URLs stand for these transports."""
    ours = {"redis": Transport, "rediss": Transport, "sentinel": SentinelTransport}
    names = {scheme: f"{__name__}:{kind.__name__}" for scheme, kind in ours.items()}
    TRANSPORT_ALIASES.update(names)

"""kombu's transport, except that a worker can start while the memory of Redis is full.

When kombu consumes a queue, it first writes down to which exchange the queue is bound, and Redis
refuses that when its memory is full. So the worker would not start, although it is wanted: only
work that is finished frees memory. Nobody needs what was to be written. Wake-ups go straight to
their queues, and remote control reaches workers by pub/sub; only its answers get lost meanwhile.
"""

# kombu is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import structlog
from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import OutOfMemoryError

log = structlog.get_logger(__name__)


class _BindsAtTheLimit:
    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[misc]  # kombu's
        except OutOfMemoryError:
            log.warning("the memory of Redis is full, a binding was left out", queue=queue)


class _Channel(_BindsAtTheLimit, redis.Channel):
    pass


class _SentinelChannel(_BindsAtTheLimit, redis.SentinelChannel):
    pass


class Transport(redis.Transport):
    Channel = _Channel


class SentinelTransport(redis.SentinelTransport):
    Channel = _SentinelChannel


def install() -> None:
    """From now on the schemes of Redis URLs stand for these transports."""
    ours = {"redis": Transport, "rediss": Transport, "sentinel": SentinelTransport}
    names = {scheme: f"{__name__}:{kind.__name__}" for scheme, kind in ours.items()}
    TRANSPORT_ALIASES.update(names)

"""The broker's queues, as a sender sees them: bounded, and counted."""

# kombu is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from kombu.connection import Connection

from workers.queues import Queue

# KEYS: the queue. ARGV: most messages to wait, messages… Answers how many were appended: one more
# than that may be in the queue. A script, because several processes send to one queue.
# LREM of nothing comes first: when its memory is full, Redis refuses a script's first write if that
# may need memory, but none that follows a write that needs none. Without wake-ups nobody would
# finish what was accepted, and so free memory. They are few, and each is soon taken out.
_PUSH = """
redis.call('LREM', KEYS[1], 1, '')
local room = math.max(0, ARGV[1] + 1 - redis.call('LLEN', KEYS[1]))
local count = math.min(room, #ARGV - 1)
for i = 2, count + 1 do redis.call('LPUSH', KEYS[1], ARGV[i]) end
return count
"""


class BrokerQueues:
    """Keeps one connection open, made on first use and again after an error. Its methods block,
    and raise what kombu and its driver raise."""

    def __init__(self, broker: str, options: dict[str, Any]) -> None:
        self._broker = broker
        self._options = options
        self._opened = contextlib.ExitStack()
        self._client: Any = None
        self._push: Any = None

    def push(self, queue: Queue, messages: Sequence[str], *, most_waiting: int) -> int:
        """Appends messages until more than `most_waiting` are in the queue. Returns how many."""
        self._connect()
        return int(self._push(keys=[queue.value], args=[most_waiting, *messages]))

    def length(self, queue: Queue) -> int:
        """How many messages wait in a queue."""
        self._connect()
        return int(self._client.llen(queue.value))

    def close(self) -> None:
        """Closes the connection, whatever state it is in."""
        self._client = None
        with contextlib.suppress(Exception):
            self._opened.close()

    def _connect(self) -> None:
        if self._client is not None:
            return
        connection = Connection(self._broker, transport_options=self._options)
        channel = self._opened.enter_context(connection).channel()
        client = self._opened.enter_context(channel.conn_or_acquire())
        self._push = client.register_script(_PUSH)
        self._client = client

"""Commands that are called at the same time share a round trip.

A batch of commands goes straight over a connection of redis-py's pool. That costs a fraction of
what redis-py's client and pipelines cost: they pack each argument in Python, and set a timeout
for each answer. A lone command goes at once. While one batch is on its way a second one may go,
over a connection of its own, so that neither this process nor the server waits for the other.
What is called while two are on their way gathers for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from typing import Any

import hiredis
from redis.exceptions import RedisError, ResponseError

MOST_AT_ONCE = 32
MOST_ON_THEIR_WAY = 2

_Call = tuple[bytes, asyncio.Future[Any]]


class Batcher:
    """Runs commands over the connections of a pool.

    What a caller does after a call reaches the server after that call, even if the caller was
    cancelled while it waited for the answer. Calls that are made side by side may overtake each
    other. A call whose caller is cancelled before it was sent is not sent.

    Commands that a cut connection left unanswered are sent again, as often as the pool's
    connections retry; so a command may run twice. A server that is silent for the connection's
    socket timeout is not asked again.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool  # untyped, as are most methods of redis-py's pools and connections
        self._waiting: deque[_Call] = deque()
        # The calls that each sender has sent and not yet answered; none before its first batch.
        self._senders: dict[asyncio.Task[None], deque[_Call]] = {}
        # Connections that no sender uses just now. The pool's own bookkeeping costs a third of a
        # lone command.
        self._kept: list[Any] = []

    async def call(self, *command: Any) -> Any:
        """Runs one command, of texts, bytes and numbers, and returns the server's answer as it
        came. Raises what redis-py raises, and `TimeoutError`."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((hiredis.pack_command(command), future))
        self._start_sender()
        return await future

    def _start_sender(self) -> None:
        # A sender that has taken nothing yet will take what waits now.
        if len(self._senders) < MOST_ON_THEIR_WAY and all(self._senders.values()):
            sender = asyncio.create_task(self._send_waiting())
            self._senders[sender] = deque()

    def _take_batch(self) -> deque[_Call]:
        """The calls to send next; none if nothing may be sent now."""
        batch: deque[_Call] = deque()
        # What somebody does after a call that was cancelled must not overtake that call. The
        # sender that waits for its answer will look here again.
        if any(future.done() for calls in self._senders.values() for _, future in calls):
            return batch
        while self._waiting and len(batch) < MOST_AT_ONCE:
            call = self._waiting.popleft()
            if not call[1].done():
                batch.append(call)
        return batch

    async def _send_waiting(self) -> None:
        sender = asyncio.current_task()
        assert sender is not None
        connection: Any = None
        try:
            while batch := self._take_batch():
                self._senders[sender] = batch
                if self._waiting:
                    self._start_sender()
                connection = connection or await self._get_connection()
                await _run_batch(connection, batch)
        except Exception as error:  # noqa: BLE001  # every caller gets it
            _fail(self._senders[sender], error)
        except asyncio.CancelledError:  # the loop closes
            for _, future in (*self._senders[sender], *self._waiting):
                future.cancel()
            self._waiting.clear()
            raise
        finally:
            # Nothing is awaited between the last look at what waits and the end: a call in between
            # would find a sender that never looks again.
            del self._senders[sender]
            if connection is not None:
                self._kept.append(connection)
            if self._waiting and not self._senders:
                self._start_sender()

    async def _get_connection(self) -> Any:
        if self._kept:
            connection = self._kept.pop()
            with contextlib.suppress(RedisError):  # it is closed
                # What could be read now would be taken for the answer to the next command.
                if not connection.should_reconnect() and not await connection.can_read():
                    return connection
            await self._pool.release(connection)  # which connects it anew when it is used again
        return await self._pool.get_connection()


async def _run_batch(connection: Any, unanswered: deque[_Call]) -> None:
    """Takes each call out of `unanswered` when its answer has come."""
    await connection.retry.call_with_retry(
        lambda: _exchange(connection, unanswered),
        lambda error: connection.disconnect(error=error),
    )


async def _exchange(connection: Any, unanswered: deque[_Call]) -> None:
    # redis-py closes the connection on any error that is not the answer to a command, and when it
    # is cancelled. So what a batch has left unread is never taken for the answer to another one.
    await connection.send_packed_command([packed for packed, _ in unanswered])
    async with asyncio.timeout(connection.socket_timeout):
        while unanswered:
            answer: Any
            try:
                # Infinity means: no timeout of its own.
                answer = await connection.read_response(timeout=math.inf)
            except ResponseError as error:
                answer = error
            _, future = unanswered.popleft()
            if future.done():  # its caller was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


def _fail(calls: deque[_Call], error: Exception) -> None:
    for _, future in calls:
        if not future.done():
            future.set_exception(error)

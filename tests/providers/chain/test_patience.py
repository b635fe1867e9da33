from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sigil.providers.chain.patience import Patience


@pytest.fixture
def patience():
    made = Patience()
    yield made
    made.close()


def soon(seconds: float = 0.02) -> float:
    return asyncio.get_running_loop().time() + seconds


async def never() -> None:
    await asyncio.Event().wait()


async def test_what_comes_in_time_is_given_back(patience):
    assert await patience.wait(asyncio.sleep(0, "here"), soon(60)) == "here"


async def test_what_does_not_come_in_time_is_cancelled(patience):
    gone = asyncio.Event()

    async def tidy() -> None:
        try:
            await never()
        finally:
            gone.set()

    with pytest.raises(TimeoutError):
        await patience.wait(tidy(), soon())
    assert gone.is_set()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_each_wait_has_its_own_deadline(patience):
    started = asyncio.get_running_loop().time()
    for _ in range(5):
        await patience.wait(asyncio.sleep(0.02), soon(0.04))
    with pytest.raises(TimeoutError):
        await patience.wait(never(), soon(0.04))
    assert asyncio.get_running_loop().time() - started >= 0.14


async def test_a_deadline_may_come_before_the_last_one(patience):
    await patience.wait(asyncio.sleep(0), soon(60))
    with pytest.raises(TimeoutError):
        await patience.wait(never(), soon())


async def test_the_time_between_two_waits_counts_for_nothing(patience):
    await patience.wait(asyncio.sleep(0), soon(0.01))
    await asyncio.sleep(0.05)
    assert await patience.wait(asyncio.sleep(0, "here"), soon(60)) == "here"


async def test_an_error_is_passed_on(patience):
    async def broken() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await patience.wait(broken(), soon(60))


async def test_the_end_of_an_iterator_is_passed_on(patience):
    async def nothing() -> AsyncIterator[int]:
        return
        yield

    with pytest.raises(StopAsyncIteration):
        await patience.wait(anext(nothing()), soon(60))


async def test_who_is_cancelled_by_others_is_cancelled(patience):
    begun = asyncio.Event()

    async def waits() -> None:
        begun.set()
        await never()

    task = asyncio.create_task(patience.wait(waits(), soon(60)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_by_others_as_time_runs_out_is_cancelled(patience):
    """As `asyncio.timeout` does: else a stop would be taken for a slow vendor."""

    async def stubborn() -> None:
        try:
            await never()
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def waits() -> None:
        await patience.wait(stubborn(), soon())

    task = asyncio.create_task(waits())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_ends_by_itself_as_time_runs_out_has_ended(patience):
    async def unimpressed() -> str:
        try:
            await never()
        except asyncio.CancelledError:
            return "here"

    assert await patience.wait(unimpressed(), soon()) == "here"
    await asyncio.sleep(0)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_timeout_around_it_is_not_taken_for_its_own(patience):
    async def waits() -> None:
        with pytest.raises(asyncio.CancelledError):
            await patience.wait(never(), soon(60))
        raise asyncio.CancelledError

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await waits()

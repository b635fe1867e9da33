"""A process around its gateway: it reaches its store, does its chores, and closes."""

import asyncio

import pytest

from sigil.bootstrap import build
from sigil.config import Settings
from sigil.errors import StoreError
from sigil.host.process import Process
from sigil.stores import Stores


@pytest.fixture
def closed() -> list[str]:
    return []


@pytest.fixture
def process(stores: Stores, monkeypatch: pytest.MonkeyPatch, closed: list[str]) -> Process:
    settings = Settings()
    gateway = build(settings, stores)

    async def close() -> None:
        closed.append("gateway")

    monkeypatch.setattr(gateway, "close", close)
    return Process(gateway, settings)


async def test_chores_run_beside_the_work_and_end_before_the_gateway(
    process: Process, closed: list[str]
) -> None:
    started, order = asyncio.Event(), closed

    async def chore() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            order.append("chore")

    async with process.run(chore, store_within=1):
        await asyncio.wait_for(started.wait(), 5)
    assert order == ["chore", "gateway"]


async def test_a_store_that_is_away_keeps_the_work_from_starting(
    process: Process, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    async def fail() -> None:
        raise StoreError("gone")

    monkeypatch.setattr(process.gateway.stores.backend, "ping", fail)
    with pytest.raises(StoreError, match=r"does not answer\. "):
        async with process.run(store_within=0.01):
            raise AssertionError("it started without its store")
    assert closed == ["gateway"]


async def test_files_are_removed_in_their_time_whatever_goes_wrong_before(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, twice = [], asyncio.Event()

    async def expire() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise StoreError("the folder cannot be read.")
        twice.set()

    monkeypatch.setattr(process.gateway.stores.blobs, "expire", expire)
    monkeypatch.setattr("sigil.host.process.EXPIRE_FILES_EVERY_S", 0.0)
    async with process.run(process.expire_files, store_within=1):
        await asyncio.wait_for(twice.wait(), 5)


async def test_a_chore_that_breaks_ends_the_work(process: Process, closed: list[str]) -> None:
    async def broken() -> None:
        raise ValueError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        async with process.run(broken, store_within=1):
            await asyncio.wait_for(asyncio.Event().wait(), 5)
    assert caught.group_contains(ValueError, match="a bug")
    assert closed == ["gateway"]


async def test_times_that_were_measured_are_flushed_at_the_end(
    process: Process, stores: Stores
) -> None:
    async with process.run(store_within=1):
        process.gateway.times.observe("route", 0.1)
    assert (await stores.counters.read())["route:us"] == 100_000


async def test_what_breaks_in_the_work_comes_out_as_it_is(
    process: Process, closed: list[str]
) -> None:
    with pytest.raises(StoreError, match="as it is"):
        async with process.run(store_within=1):
            raise StoreError("as it is")
    assert closed == ["gateway"]

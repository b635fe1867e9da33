"""What every listener must hold, run on each channel that has a case in `tests/channels`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from sigil.channels.base import Listener
from sigil.errors import StoreError
from sigil.stores import Stores
from tests.channels.cases import FakeInbox, ListenerCase, find_cases

CASES = find_cases("open_listener")
WITHIN_S = 20


@pytest.fixture
def inbox() -> FakeInbox:
    return FakeInbox()


@pytest.fixture(params=sorted(CASES))
async def case(
    request: pytest.FixtureRequest, stores: Stores, inbox: FakeInbox
) -> AsyncIterator[ListenerCase]:
    async with CASES[str(request.param)].open_listener(stores, inbox) as case:
        yield case
        await case.listener.close()


@contextlib.asynccontextmanager
async def listen(listener: Listener, inbox: FakeInbox) -> AsyncIterator[asyncio.Task[None]]:
    """Listens as the gateway does: once more after each failure."""

    async def keep() -> None:
        while True:
            try:
                await listener.listen(inbox)
                return
            except StoreError:
                await asyncio.sleep(0.05)

    listening = asyncio.create_task(keep())
    try:
        yield listening
    finally:
        is_running = listening.cancel()
        ended, _ = await asyncio.wait({listening}, timeout=5)
        assert ended == {listening}, "it swallowed the cancellation"
        assert listening.cancelled() == is_running


async def wait_until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.02)


async def test_messages_come_in_once_and_in_order(case: ListenerCase, inbox: FakeInbox) -> None:
    async with listen(case.listener, inbox):
        for text in ("one", "two", "three"):
            await case.write(text)
        await wait_until(lambda: len(inbox.received) >= 3)
    assert [message.content for message in inbox.received] == ["one", "two", "three"]
    for message in inbox.received:
        assert (message.channel_type, message.account) == case.address
        assert message.is_direct
        assert message.addressed
        assert not message.from_bot
        assert message.kind == "message"
    assert len({message.message_id for message in inbox.received}) == 3


async def test_what_was_not_accepted_comes_again(case: ListenerCase, inbox: FakeInbox) -> None:
    inbox.error = StoreError("Redis did not answer.")
    async with listen(case.listener, inbox):
        with contextlib.suppress(StoreError):  # a hook's sender is told so and comes again
            await case.write("hello")
        await wait_until(lambda: bool(inbox.received))
    assert [message.content for message in inbox.received] == ["hello"]


async def test_after_a_restart_nothing_is_lost_or_new(case: ListenerCase, inbox: FakeInbox) -> None:
    async with listen(case.listener, inbox):
        await case.write("before")
        await wait_until(lambda: len(inbox.received) >= 1)
    again = await case.open_again()
    async with listen(again, inbox):
        await case.write("after")
        await wait_until(lambda: len(inbox.received) >= 2)
    await again.close()
    assert [message.content for message in inbox.received] == ["before", "after"]


async def test_an_edit_names_the_message_that_it_changes(
    case: ListenerCase, inbox: FakeInbox
) -> None:
    async with listen(case.listener, inbox):
        await case.write("frist")
        await wait_until(lambda: len(inbox.received) >= 1)
        if not await case.edit("first"):
            pytest.skip("this platform knows no edits")
        await wait_until(lambda: len(inbox.received) >= 2)
    written, edited = inbox.received
    assert (edited.kind, edited.content, edited.message_id) == (
        "edit",
        "first",
        written.message_id,
    )
    assert edited.revision


async def test_its_own_words_are_not_heard(case: ListenerCase, inbox: FakeInbox) -> None:
    async with listen(case.listener, inbox):
        await case.write("hello")
        await wait_until(lambda: len(inbox.received) >= 1)
        if not await case.write_as_bot("I am the bot"):
            pytest.skip("the bot's own words do not come back here")
        await case.write("hello again")
        await wait_until(lambda: len(inbox.received) >= 2)
    assert [message.content for message in inbox.received] == ["hello", "hello again"]


async def test_it_can_be_closed_twice(case: ListenerCase) -> None:
    await case.listener.close()
    await case.listener.close()

"""What every sender must hold, run on each channel that has a case in `tests/channels`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sigil.channels.base import Chunk, EditsMessages, LooksUp, Sender
from sigil.channels.render import render
from sigil.channels.table import CHANNEL_TYPES
from sigil.errors import AccountRefused, ChannelError, MarkupRefused, SendFailed, SendRefused
from sigil.messages.exchange import OutboundMessage
from sigil.stores import Stores
from tests.channels.cases import RETRY_AFTER_S, Fault, SenderCase, find_cases

CASES = find_cases("open_sender")


def meets(*faults: Fault) -> pytest.MarkDecorator:
    """Runs a test with each of these faults, on each channel whose platform knows it."""
    pairs = [
        pytest.param(kind, fault, id=f"{kind}-{fault.name}")
        for kind in sorted(CASES)
        for fault in faults
        if fault in CASES[kind].FAULTS
    ]
    return pytest.mark.parametrize(("case", "fault"), pairs, indirect=["case"])


def test_every_built_in_channel_has_a_case() -> None:
    assert set(CASES) >= set(CHANNEL_TYPES)


@pytest.fixture(params=sorted(CASES))
async def case(request: pytest.FixtureRequest, stores: Stores) -> AsyncIterator[SenderCase]:
    async with CASES[str(request.param)].open_sender(stores) as case:
        yield case
        await case.sender.close()


def make_chunk(case: SenderCase, text: str = "Hello", *, id: str = "c1") -> Chunk:
    kind, account = case.address
    message = OutboundMessage(kind, case.chat, text, account=account)
    return Chunk(id, message, turn_id="turn", rendered=render(text, case.spec)[0])


async def send_broken(case: SenderCase, fault: Fault) -> ChannelError:
    await case.break_next(fault)
    with pytest.raises(ChannelError) as caught:
        await case.sender.send(make_chunk(case))
    seen = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert case.secret is None or case.secret not in seen
    return caught.value


async def test_it_is_a_sender(case: SenderCase) -> None:
    assert isinstance(case.sender, Sender)
    assert case.sender.name
    assert case.secret is None or case.secret not in repr(vars(case.sender))


async def test_what_is_sent_arrives_in_order(case: SenderCase) -> None:
    texts = ["one", "two", "three"]
    ids = [await case.sender.send(make_chunk(case, text, id=text)) for text in texts]
    assert await case.list_shown() == texts
    assert len(set(ids)) == 3


async def test_a_key_makes_a_repeat_safe(case: SenderCase) -> None:
    first, again = [await case.sender.send(make_chunk(case)) for _ in range(2)]
    assert len(await case.list_shown()) == (1 if case.spec.idempotent_send else 2)
    assert not case.spec.idempotent_send or first == again


@meets(Fault.BUSY)
async def test_a_pause_that_the_platform_asks_for_is_told(case: SenderCase, fault: Fault) -> None:
    error = await send_broken(case, fault)
    assert isinstance(error, SendFailed)
    assert (error.retry_after, error.outcome_unknown) == (RETRY_AFTER_S, False)
    assert await case.list_shown() == []


@meets(Fault.AWAY)
async def test_what_cannot_have_arrived_is_not_unknown(case: SenderCase, fault: Fault) -> None:
    error = await send_broken(case, fault)
    assert isinstance(error, SendFailed)
    assert not error.outcome_unknown


@meets(Fault.CUT, Fault.BROKEN)
async def test_what_may_have_arrived_is_unknown(case: SenderCase, fault: Fault) -> None:
    error = await send_broken(case, fault)
    assert isinstance(error, SendFailed)
    assert error.outcome_unknown
    assert await case.list_shown() == ["Hello"]
    if case.spec.idempotent_send:
        await case.sender.send(make_chunk(case))
        assert await case.list_shown() == ["Hello"]


@meets(Fault.GONE)
async def test_a_chat_that_is_gone_is_closed(case: SenderCase, fault: Fault) -> None:
    error = await send_broken(case, fault)
    assert isinstance(error, SendRefused)
    assert error.closes_chat


@meets(Fault.LOCKED)
async def test_an_account_that_is_refused_says_what_to_do(case: SenderCase, fault: Fault) -> None:
    error = await send_broken(case, fault)
    assert isinstance(error, AccountRefused)
    assert error.hint


@meets(Fault.MARKUP)
async def test_markup_that_is_refused_may_be_tried_as_plain_text(
    case: SenderCase, fault: Fault
) -> None:
    assert isinstance(await send_broken(case, fault), MarkupRefused)


async def test_the_longest_text_is_taken(case: SenderCase) -> None:
    text = "ab **cd** 🙂 " * (case.spec.text_limit // 6)
    pieces = render(text[:60_000], case.spec)
    for at, piece in enumerate(pieces):
        await case.sender.send(replace(make_chunk(case, id=f"c{at}"), rendered=piece))
    assert len(await case.list_shown()) == len(pieces)


async def test_an_edit_takes_the_place_of_a_message(case: SenderCase) -> None:
    if not isinstance(case.sender, EditsMessages):
        pytest.skip("this channel edits nothing")
    sent = await case.sender.send(make_chunk(case, "first"))
    await case.sender.send(make_chunk(case, "after", id="c2"))
    for _ in range(2):  # an edit that changes nothing succeeds
        await case.sender.edit(make_chunk(case, "second", id="c3"), str(sent))
    assert await case.list_shown() == ["second", "after"]


async def test_what_was_sent_can_be_looked_up(case: SenderCase) -> None:
    if not isinstance(case.sender, LooksUp):
        pytest.skip("nothing can be looked up here")
    assert await case.sender.look_up(make_chunk(case)) is None
    sent = await case.sender.send(make_chunk(case))
    assert await case.sender.look_up(make_chunk(case)) == sent


async def test_a_send_can_be_cancelled(case: SenderCase) -> None:
    sending = asyncio.create_task(case.sender.send(make_chunk(case)))
    await asyncio.sleep(0)
    is_running = sending.cancel()
    ended, _ = await asyncio.wait({sending}, timeout=5)
    assert ended == {sending}, "it swallowed the cancellation"
    assert sending.cancelled() == is_running


async def test_it_can_be_closed_twice(case: SenderCase) -> None:
    await case.sender.close()
    await case.sender.close()

"""What every channel must hold, run on each that is built in."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from sigil.channels.base import Acceptance, Channel, Chunk
from sigil.channels.live import DraftUpdate
from sigil.channels.router import CHANNEL_TYPES, load_channel
from sigil.config.schema import ChannelSettings
from sigil.errors import SendFailed, StoreError
from sigil.messages.exchange import InboundMessage, OutboundMessage
from sigil.stores import Stores
from sigil.testing import MemoryChannel

Make = Callable[[], Channel]


@pytest.fixture(params=sorted(CHANNEL_TYPES))
def make(request: pytest.FixtureRequest, stores: Stores) -> Make:
    kind = str(request.param)
    return lambda: load_channel("mine", ChannelSettings(type=kind), stores)


def chunk(text: str = "Hello", *, id: str = "c1", final: bool = True) -> Chunk:
    message = OutboundMessage(channel_type="mine", channel_id="chat", content=text)
    return Chunk(id=id, message=message, final=final, turn_id="turn")


async def shown(channel: Channel, stores: Stores) -> list[str]:
    if isinstance(channel, MemoryChannel):
        return [message.content for message in channel.sent]
    return [str(record.data["text"]) for record in await stores.chats.read("mine:chat")]


def test_it_is_made_without_a_loop_and_carries_its_name(make: Make) -> None:
    channel = make()
    assert isinstance(channel, Channel)
    assert channel.name == "mine"
    assert channel.spec.text_limit >= 1000


async def test_what_is_sent_arrives_in_order(make: Make, stores: Stores) -> None:
    channel = make()
    ids = [await channel.send(chunk(text, id=text)) for text in ("one", "two", "three")]
    assert await shown(channel, stores) == ["one", "two", "three"]
    assert len(set(ids)) == 3


async def test_a_chunk_that_is_sent_again_is_shown_once_if_the_channel_says_so(
    make: Make, stores: Stores
) -> None:
    channel = make()
    first, again = await channel.send(chunk()), await channel.send(chunk())
    count = len(await shown(channel, stores))
    assert count == (1 if channel.spec.idempotent_send else 2)
    if channel.spec.idempotent_send:
        assert first == again


async def test_listening_ends_or_can_be_cancelled(make: Make) -> None:
    received: list[InboundMessage] = []

    async def receive(message: InboundMessage) -> Acceptance:
        received.append(message)
        return Acceptance("item", duplicate=False)

    listening = asyncio.create_task(make().listen(receive))
    await asyncio.wait({listening}, timeout=0.1)
    listening.cancel()  # does nothing to a listener that has returned
    ended, _ = await asyncio.wait({listening}, timeout=5)
    assert ended == {listening}, "it swallowed the cancellation"
    assert listening.cancelled() or listening.exception() is None
    assert received == []  # nobody wrote anything


async def test_it_may_be_closed_twice(make: Make) -> None:
    channel = make()
    await channel.close()
    await channel.close()


async def test_live_channels_say_what_a_reply_belongs_to(make: Make, stores: Stores) -> None:
    channel = make()
    if not channel.spec.live:
        pytest.skip("not live")
    await stores.chats.draft([DraftUpdate("mine:chat", "turn", 1, 1, "so f")])
    await channel.send(chunk("so far", final=False))
    (event,) = [record.data for record in await stores.chats.read("mine:chat")]
    assert event == {
        "type": "reply",
        "text": "so far",
        "turn": "turn",
        "chunk": 0,
        "final": False,
    }


async def test_a_notice_belongs_to_no_turn(make: Make, stores: Stores) -> None:
    channel = make()
    if not channel.spec.live:
        pytest.skip("not live")
    await channel.send(replace(chunk(), turn_id=""))
    (event,) = [record.data for record in await stores.chats.read("mine:chat")]
    assert event["turn"] is None


async def test_a_log_that_is_away_is_worth_another_try(
    make: Make, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make()
    if not channel.spec.live:
        pytest.skip("keeps no log")

    async def away(*args: object) -> None:
        raise StoreError("Redis did not answer.")

    monkeypatch.setattr(stores.chats, "show", away)
    with pytest.raises(SendFailed) as caught:
        await channel.send(chunk())
    assert caught.value.outcome_unknown

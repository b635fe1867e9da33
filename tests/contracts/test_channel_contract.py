"""What every channel must hold, run on each that is built in."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from sigil.channels import Channel, ChannelRouter, Chunk, OutboundMessage, load
from sigil.channels.router import CHANNEL_TYPES
from sigil.config.schema import ChannelSettings
from sigil.errors import ChannelNotFound, ConfigError, SendFailed, SendRefused, StoreError
from sigil.messages import InboundMessage
from sigil.stores import Stores
from sigil.testing import MemoryChannel

Make = Callable[[], Channel]


@pytest.fixture(params=sorted(CHANNEL_TYPES))
def make(request: pytest.FixtureRequest, stores: Stores) -> Make:
    kind = str(request.param)
    return lambda: load("mine", ChannelSettings(type=kind), stores)


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
    assert channel.capabilities.max_chars >= 1000


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
    assert count == (1 if channel.capabilities.idempotent_send else 2)
    if channel.capabilities.idempotent_send:
        assert first == again


async def test_listening_ends_or_can_be_cancelled(make: Make) -> None:
    async def receive(message: InboundMessage) -> None:
        raise AssertionError("nothing was written")

    listening = asyncio.create_task(make().listen(receive))  # type: ignore[arg-type]
    await asyncio.wait({listening}, timeout=0.1)
    listening.cancel()
    (end,) = await asyncio.gather(listening, return_exceptions=True)
    assert end is None or isinstance(end, asyncio.CancelledError)


async def test_it_may_be_closed_twice(make: Make) -> None:
    channel = make()
    await channel.close()
    await channel.close()


async def test_live_channels_say_what_a_reply_belongs_to(make: Make, stores: Stores) -> None:
    channel = make()
    if not channel.capabilities.live:
        pytest.skip("not live")
    await stores.chats.draft("mine:chat", "turn", 1, 1, "so f")
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
    if not channel.capabilities.live:
        pytest.skip("not live")
    await channel.send(replace(chunk(), turn_id=""))
    (event,) = [record.data for record in await stores.chats.read("mine:chat")]
    assert event["turn"] is None


async def test_a_log_that_is_away_is_worth_another_try(
    make: Make, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make()
    if not channel.capabilities.live:
        pytest.skip("keeps no log")

    async def away(*args: object) -> None:
        raise StoreError("Redis did not answer.")

    monkeypatch.setattr(stores.chats, "show", away)
    with pytest.raises(SendFailed) as caught:
        await channel.send(chunk())
    assert caught.value.outcome_unknown


# ---------------------------------------------------------------- the memory channel's script


async def test_the_memory_channel_fails_as_told() -> None:
    channel = MemoryChannel("memory")
    channel.fail_next(SendFailed("busy", retry_after=1), times=2)
    channel.fail_next(SendRefused("blocked"))
    channel.fail_next(SendFailed("lost", outcome_unknown=True), taken=True)
    for error in (SendFailed, SendFailed, SendRefused, SendFailed):
        with pytest.raises(error):
            await channel.send(chunk())
    assert await channel.send(chunk("after")) == "2"
    assert [message.content for message in channel.sent] == ["Hello", "after"]
    assert [each.id for each in channel.chunks] == ["c1", "c1"]


# ---------------------------------------------------------------- the router and the table


async def test_the_router_sends_to_the_channel_that_is_named() -> None:
    router = ChannelRouter()
    channels = {name: MemoryChannel(name) for name in ("telegram", "slack")}
    for name, channel in channels.items():
        router.register(name, channel)
    assert router.get("telegram").name == "telegram"
    assert router.names == ("telegram", "slack")
    message = OutboundMessage(
        channel_type="telegram", channel_id="-100123", content="Hello", thread_id=None, media=()
    )
    for _ in range(2):
        await router.send(message)
    assert channels["telegram"].sent == [message, message]
    assert channels["slack"].sent == []
    assert len({each.id for each in channels["telegram"].chunks}) == 2


async def test_an_unknown_channel_is_named_with_the_known_ones() -> None:
    router = ChannelRouter()
    router.register("web", MemoryChannel("web"))
    with pytest.raises(ChannelNotFound, match=r"'telgram'.*known: web") as caught:
        router.get("telgram")
    assert caught.value.code == "channel.not_found"
    with pytest.raises(ChannelNotFound):
        await router.send(OutboundMessage(channel_type="x", channel_id="1", content="Hello"))


def test_a_type_defaults_to_the_name_and_may_be_a_plug_in(stores: Stores) -> None:
    assert isinstance(load("memory", ChannelSettings(), stores), MemoryChannel)
    plug_in = ChannelSettings(type="sigil.testing:MemoryChannel")
    assert isinstance(load("mine", plug_in, stores), MemoryChannel)


@pytest.mark.parametrize("kind", ["nonsense", "no.such.module:Class", "sigil.testing:NoSuchClass"])
def test_a_type_that_cannot_be_had_is_a_configuration_error(stores: Stores, kind: str) -> None:
    with pytest.raises(ConfigError, match=r"channels\.mine\.type"):
        load("mine", ChannelSettings(type=kind), stores)

"""Finding channels by name, and their classes by type."""

import pytest

from sigil.channels.router import ChannelRouter, load_channel
from sigil.config.schema import ChannelSettings
from sigil.errors import ChannelNotFound, ConfigError
from sigil.messages.exchange import OutboundMessage
from sigil.stores import Stores
from sigil.testing import MemoryChannel


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
    assert isinstance(load_channel("memory", ChannelSettings(), stores), MemoryChannel)
    plug_in = ChannelSettings(type="sigil.testing:MemoryChannel")
    assert isinstance(load_channel("mine", plug_in, stores), MemoryChannel)


@pytest.mark.parametrize("kind", ["nonsense", "no.such.module:Class", "sigil.testing:NoSuchClass"])
def test_a_type_that_cannot_be_had_is_a_configuration_error(stores: Stores, kind: str) -> None:
    with pytest.raises(ConfigError, match=r"channels\.mine\.type"):
        load_channel("mine", ChannelSettings(type=kind), stores)

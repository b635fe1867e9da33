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


@pytest.mark.parametrize(
    ("name", "kind", "address"),
    [
        ("memory", None, ("memory", "default")),
        ("family", "memory", ("memory", "family")),
        ("mine", "sigil.channels.memory.spec:MemoryType", ("mine", "default")),
    ],
)
async def test_an_entry_is_found_by_its_type_and_account(
    stores: Stores, name: str, kind: str | None, address: tuple[str, str]
) -> None:
    router = ChannelRouter()
    router.add(load_channel(name, ChannelSettings(type=kind), stores))
    channel = router.get(*address)
    assert isinstance(channel, MemoryChannel)
    assert channel.name == name
    assert channel is router.get(*address)
    assert router.find_entry(name).spec is router.spec(*address)


async def test_two_accounts_of_a_type_are_two_channels() -> None:
    router, first, second = ChannelRouter(), MemoryChannel("telegram"), MemoryChannel("family")
    router.register("telegram", first)
    router.register("telegram", second, account="family")
    await router.send(OutboundMessage("telegram", "1", "Hello", account="family"))
    assert (len(first.sent), len(second.sent)) == (0, 1)
    with pytest.raises(ChannelNotFound, match="'work'"):
        router.get("telegram", "work")
    with pytest.raises(ChannelNotFound, match="'family'"):
        router.get("slack", "family")
    assert router.get("family") is second  # as older versions call it


@pytest.mark.parametrize(
    "kind",
    ["nonsense", "no.such.module:Class", "sigil.testing:No", "sigil.testing:MemoryChannel"],
)
def test_a_type_that_cannot_be_had_is_a_configuration_error(stores: Stores, kind: str) -> None:
    with pytest.raises(ConfigError, match=r"channels\.mine\.type"):
        load_channel("mine", ChannelSettings(type=kind), stores)

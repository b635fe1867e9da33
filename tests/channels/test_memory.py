"""The memory channel fails on demand, so that tests can try what a platform might do."""

import pytest

from sigil.channels.base import Chunk
from sigil.errors import SendFailed, SendRefused
from sigil.messages.exchange import OutboundMessage
from sigil.testing import MemoryChannel


def chunk(text: str = "Hello") -> Chunk:
    return Chunk(id="c1", message=OutboundMessage("mine", "chat", text))


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

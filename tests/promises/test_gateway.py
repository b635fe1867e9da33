"""What users rely on in `sigil.gateway`."""

from __future__ import annotations

from sigil.bootstrap import build
from sigil.config import Settings
from sigil.messages import InboundMessage
from sigil.stores import Stores
from sigil.testing import FakeProvider, MemoryChannel, settle


async def test_a_conversation_through_the_gateway(stores: Stores) -> None:
    channel, provider = MemoryChannel("memory"), FakeProvider("fake", reply="Hello Alice")
    gateway = build(
        Settings.model_validate(
            {"channels": {"memory": {"pairing": "open"}}, "models": {"default": "fake/model"}}
        ),
        stores=stores,
        providers={"fake": provider},
        channels={"memory": channel},
    )
    message = InboundMessage(
        channel_type="memory", channel_id="c", message_id="1", sender_id="alice", content="Hi"
    )
    accepted = await gateway.receive(message)
    again = await gateway.receive(message)
    assert (accepted.duplicate, again.duplicate, again.id) == (False, True, accepted.id)
    await settle(gateway)
    assert [sent.content for sent in channel.sent] == ["Hello Alice"]
    assert await gateway.recover() is None
    for verb in (gateway.route, gateway.turn, gateway.deliver):
        await verb("session:any:nothing-here")
    await gateway.close()

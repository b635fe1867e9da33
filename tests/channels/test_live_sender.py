"""What the logs of live chats show of a reply."""

from __future__ import annotations

import pytest

from sigil.channels.base import Chunk
from sigil.channels.live import DraftUpdate
from sigil.channels.router import load_channel
from sigil.config.schema import ChannelSettings
from sigil.messages.exchange import OutboundMessage
from sigil.stores import Stores


@pytest.mark.parametrize("turn", ["turn", ""])
async def test_a_reply_says_which_turn_it_belongs_to(stores: Stores, turn: str) -> None:
    sender = load_channel("web", ChannelSettings(), stores).sender
    await stores.chats.draft([DraftUpdate("web:chat", "turn", 1, 1, "so f")])
    message = OutboundMessage("web", "chat", "so far")
    await sender.send(Chunk("c1", message, final=False, turn_id=turn))
    events = [record.data for record in await stores.chats.read("web:chat")]
    assert events[-1] == {
        "type": "reply",
        "text": "so far",
        "turn": turn or None,
        "chunk": 0,
        "final": False,
    }
    assert [event["type"] for event in events] == (["reply"] if turn else ["draft", "reply"])


async def test_another_account_has_chats_of_its_own(stores: Stores) -> None:
    settings = ChannelSettings(type="web")
    sender = load_channel("second", settings, stores).sender
    await sender.send(Chunk("c1", OutboundMessage("web", "chat", "hi", account="second")))
    assert await stores.chats.read("web:chat") == []
    assert len(await stores.chats.read("web@second:chat")) == 1

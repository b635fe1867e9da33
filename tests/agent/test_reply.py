"""What is read off a model's stream."""

from __future__ import annotations

import pytest

from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, EventType
from sigil.testing import ScriptedProvider
from tests.talking import talk

# ---------------------------------------------------------------- what is kept


@pytest.mark.parametrize("count", [10**18, -5])
async def test_a_count_beyond_reason_does_not_cost_the_answer(count: int) -> None:
    events = [
        ChatEvent(EventType.TEXT_DELTA, text="fine"),
        ChatEvent(EventType.USAGE, usage=Usage(count, 5)),
        ChatEvent(EventType.DONE, stop_reason="stop"),
    ]
    t = talk(provider=ScriptedProvider([events]))
    await t.say("hello")
    assert [message.content for message in t.channel.sent] == ["fine"]

"""Answers that are sent as a file."""

from __future__ import annotations

import pytest

from sigil.blobs.base import name_owner, read_file
from sigil.channels.base import ChannelSpec, MediaRules
from sigil.messages.exchange import OutboundMessage
from sigil.outbound.long_answers import BELOW, find_beginning
from sigil.testing import settle
from tests.talking import talk

TAKES_FILES = ChannelSpec(text_limit=200, media=MediaRules(outgoing=frozenset({"file"})))
LONG = "The short of it.\n\n" + "word " * 200


async def test_a_long_answer_is_one_message_with_a_file() -> None:
    t = talk(spec=TAKES_FILES, memory={"long_as_file": 500})
    await t.gateway.notify(OutboundMessage("memory", "ann", LONG))
    await settle(t.gateway)
    (sent,) = t.channel.sent
    assert sent.content == f"The short of it.\n\n{BELOW}"
    (file,) = sent.media
    assert (file.name, file.mime_type) == ("answer.md", "text/markdown")
    data = await read_file(t.stores.blobs, file, name_owner("memory", "default"))
    assert data.decode() == LONG


@pytest.mark.parametrize("longest", [None, 5000])
async def test_others_are_sent_as_words(longest: int | None) -> None:
    t = talk(spec=TAKES_FILES, memory={"long_as_file": longest})
    await t.gateway.notify(OutboundMessage("memory", "ann", LONG))
    await settle(t.gateway)
    assert len(t.channel.sent) > 1
    assert not any(sent.media for sent in t.channel.sent)


def test_the_beginning_is_short_and_whole() -> None:
    assert find_beginning("One.\n\nTwo.") == "One."
    assert find_beginning("```\ncode\n```") == "…"
    assert len(find_beginning("word " * 900)) <= 502

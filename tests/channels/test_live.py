"""A live chat's key, its events, and who may write to it."""

import json

import pytest

from sigil.channels.base import Acceptance, Chunk
from sigil.channels.live import (
    EVENT_TYPES,
    MAX_TITLE_CHARS,
    DraftUpdate,
    draft_event,
    dropped_event,
    live_chat_key,
    refused_event,
    reply_event,
    shorten_title,
    take_message,
    user_event,
)
from sigil.messages.exchange import Action, AnswerDetails, InboundMessage, OutboundMessage
from sigil.stores import Stores


def message(sender_id: str, content: str = "Hello", chat: str = "chat") -> InboundMessage:
    return InboundMessage(
        channel_type="web",
        channel_id=chat,
        message_id="m1",
        sender_id=sender_id,
        content=content,
    )


class Receiver:
    """Stands in for `Gateway.receive`."""

    def __init__(self) -> None:
        self.messages: list[InboundMessage] = []

    async def __call__(self, message: InboundMessage) -> Acceptance:
        self.messages.append(message)
        return Acceptance("item", duplicate=False)


def test_the_default_accounts_key_is_the_one_that_stored_chats_have() -> None:
    assert live_chat_key("web", "default", "chat") == "web:chat"


def test_accounts_do_not_share_a_chat() -> None:
    keys = {
        live_chat_key("web", "default", "chat"),
        live_chat_key("web", "second", "chat"),
        live_chat_key("web", "third", "chat"),
        live_chat_key("web", "default", "second:chat"),
        live_chat_key("terminal", "second", "chat"),
    }
    assert len(keys) == 5


def test_the_events_are_what_readers_are_promised() -> None:
    out = OutboundMessage(channel_type="web", channel_id="chat", content="Hi")
    chunk = Chunk(id="c", message=out, index=2, final=False, turn_id="t")
    notice = Chunk(id="c", message=out, turn_id="")
    reply = {"type": "reply", "text": "Hi", "turn": "t", "chunk": 2, "final": False}
    draft = {"type": "draft", "turn": "t", "token": 7, "revision": 3, "text": "so far"}
    update = DraftUpdate("web:chat", "t", 7, 3, "so far")
    assert user_event(message("ann")) == {"type": "user", "text": "Hello", "message_id": "m1"}
    assert reply_event(chunk) == reply
    assert reply_event(notice) == reply | {"turn": None, "chunk": 0, "final": True}
    assert draft_event(update) == draft
    more = {"answers": ["m1"], "broke_off": ["a/b"]}
    assert draft_event(update._replace(answers=("m1",), broke_off=("a/b",))) == draft | more
    assert dropped_event("m1") == {"type": "dropped", "message_id": "m1"}
    assert refused_event("m1") == {"type": "refused", "message_id": "m1"}
    assert {"user", "reply", "draft", "dropped", "refused"} == EVENT_TYPES


def test_a_reply_says_what_it_answers_how_it_came_about_and_what_may_be_done_next() -> None:
    details = AnswerDetails("a/b", 1.5, 10, 5, None, broke_off=("c/d",), cut_at=5)
    out = OutboundMessage(
        "web", "chat", "Hi", details=details, actions=(Action("Go on.", "More"),), answers=("m1",)
    )
    event = reply_event(Chunk(id="c", message=out, turn_id="t"))
    assert json.loads(json.dumps(event)) == {
        "type": "reply",
        "text": "Hi",
        "turn": "t",
        "chunk": 0,
        "final": True,
        "answers": ["m1"],
        "details": {
            "model": "a/b",
            "seconds": 1.5,
            "input_tokens": 10,
            "output_tokens": 5,
            "cost": None,
            "broke_off": ["c/d"],
            "cut_at": 5,
            "stopped": False,
        },
        "actions": [{"id": "Go on.", "label": "More"}],
    }


async def test_the_first_writer_owns_the_chat(stores: Stores) -> None:
    receive = Receiver()
    first = message("ann")
    assert await take_message(stores.chats, receive, first) == Acceptance("item", False)
    assert await stores.chats.owner("web", "chat") == "ann"
    assert [chat["title"] for chat in await stores.chats.list("ann", "web")] == ["Hello"]
    assert await take_message(stores.chats, receive, message("bob")) is None
    assert await stores.chats.list("bob", "web") == []
    assert receive.messages == [first]


async def test_who_claims_a_chat_too_late_is_turned_away(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = Receiver()
    real = stores.chats.owner
    answers = iter([None])  # what bob's first look finds, a moment before ann claims the chat

    async def owner(channel: str, chat_id: str) -> str | None:
        for answer in answers:
            await stores.chats.touch("ann", "web", "chat", "Ann's")
            return answer
        return await real(channel, chat_id)

    monkeypatch.setattr(stores.chats, "owner", owner)
    assert await take_message(stores.chats, receive, message("bob")) is None
    assert receive.messages == []


def test_a_title_is_the_first_line_shortened() -> None:
    assert shorten_title(" \n Hello   there\nmore") == "Hello there"
    assert shorten_title("x" * MAX_TITLE_CHARS) == "x" * MAX_TITLE_CHARS
    assert shorten_title("x" * (MAX_TITLE_CHARS + 1)) == "x" * (MAX_TITLE_CHARS - 1) + "…"

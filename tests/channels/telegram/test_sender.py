"""What goes out, as the chat's people see it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from sigil.blobs.base import name_owner
from sigil.channels.base import AccountContext, Chunk, Place, Rendered
from sigil.channels.telegram import sender as module
from sigil.channels.telegram.sender import TelegramSender
from sigil.errors import BlobGone, ChatMoved, MarkupRefused, SendFailed, SendRefused
from sigil.messages.answers import Action
from sigil.messages.exchange import Attachment, OutboundMessage
from tests.channels.telegram.case import make_settings
from tests.peers.telegram import TOKEN, Fault, Server
from tests.peers.telegram.faults import CUT, DONE_THEN_CUT, INTERNAL

BOLD = Rendered(
    "hello you", {"entities": [{"type": "bold", "offset": 0, "length": 5}]}, "hello you"
)
PNG = b"\x89PNG\r\n"


@pytest.fixture(autouse=True)
def _chats(server: Server) -> None:
    server.bot.has_topics = True
    server.bot.add_chat(42, topics={3})
    server.bot.add_chat(-1, "supergroup")
    server.bot.add_chat(-2, "supergroup", is_forum=True, topics={17})
    for chat in (42, -1, -2):
        server.bot.write(chat, "hi")


def chunk(text: str = "hello", chat: str = "42", **given: Any) -> Chunk:
    fields = {
        name: given.pop(name)
        for name in ("rendered", "index", "final", "replaces")
        if name in given
    }
    message = OutboundMessage("telegram", chat, text, is_direct=chat == "42", **given)
    return Chunk("c1", message, **fields)


async def test_text_goes_out_with_its_entities(server: Server, sender: TelegramSender) -> None:
    assert await sender.send(chunk(rendered=BOLD)) == "2"
    (seen,) = server.bot.journal
    assert (seen.text, seen.fields["entities"]) == ("hello you", BOLD.extras["entities"])
    _, given = server.bot.calls[-1]
    assert "parse_mode" not in given
    assert given["link_preview_options"] == {"is_disabled": True}


@pytest.mark.parametrize(
    ("chat", "thread", "expected"),
    [("-2", "17", 17), ("-2", "1", None), ("42", "3", 3), ("-1", None, None)],
    ids=["a topic", "the General topic", "a private topic", "no topic"],
)
async def test_the_persons_thread_is_kept(
    server: Server, sender: TelegramSender, chat: str, thread: str | None, expected: int | None
) -> None:
    await sender.send(chunk(chat=chat, thread_id=thread))
    await sender.show_typing(Place(chat, thread))
    assert [seen.thread for seen in server.bot.journal] == [expected, expected]


async def test_a_reply_refers_to_the_message(server: Server, sender: TelegramSender) -> None:
    await sender.send(chunk(reply_to="1"))
    await sender.send(chunk(reply_to="1", index=1))
    await sender.send(chunk(reply_to="999"))
    await sender.send(chunk(reply_to="q1"))
    replies = [
        seen.fields.get("reply_parameters", {}).get("message_id") for seen in server.bot.journal
    ]
    assert replies == [1, None, 999, None]


async def test_a_reply_to_what_is_gone_goes_out_without(
    server: Server, sender: TelegramSender
) -> None:
    body = {
        "ok": False,
        "error_code": 400,
        "description": "Bad Request: message to be replied not found",
    }
    server.bot.faults.order("sendMessage", Fault(400, body))
    await sender.send(chunk(reply_to="1"))
    assert "reply_parameters" not in server.bot.journal[0].fields


async def test_actions_are_buttons(server: Server, sender: TelegramSender) -> None:
    actions = (Action("/approve AB12", "Yes"), Action("x" * 65, "too long"))
    await sender.send(chunk(actions=actions, final=False))
    await sender.send(chunk(actions=actions))
    first, second = (seen.fields.get("reply_markup") for seen in server.bot.journal)
    assert first is None
    assert second == {"inline_keyboard": [[{"text": "Yes", "callback_data": "/approve AB12"}]]}


async def test_a_business_connection_is_named(server: Server, sender: TelegramSender) -> None:
    await sender.send(chunk(chat="42@bc1"))
    assert server.bot.calls[-1][1]["business_connection_id"] == "bc1"


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("fault", "unknown"),
    [(CUT, True), (DONE_THEN_CUT, True), (INTERNAL, True), (Fault(502, "<html>"), True)],
)
async def test_what_may_have_been_sent(
    server: Server, sender: TelegramSender, fault: Fault, unknown: bool
) -> None:
    server.bot.faults.order("sendMessage", fault)
    with pytest.raises(SendFailed) as caught:
        await sender.send(chunk())
    assert caught.value.outcome_unknown is unknown
    assert len(server.bot.calls) == 1, "nothing is repeated by itself"


async def test_what_was_certainly_not_sent(server: Server) -> None:
    sender = TelegramSender(
        AccountContext("t", "telegram", "t", None),
        make_settings(server, base_url="http://127.0.0.1:1"),
    )
    with pytest.raises(SendFailed) as caught:
        await sender.send(chunk())
    assert not caught.value.outcome_unknown
    await sender.close()


async def test_a_wait_is_passed_on(server: Server, sender: TelegramSender) -> None:
    server.bot.faults.set_shares({"rate": 1.0}, longest_wait=1)
    with pytest.raises(SendFailed) as caught:
        await sender.send(chunk())
    assert (caught.value.retry_after, caught.value.outcome_unknown) == (1, False)


@pytest.mark.parametrize(
    ("state", "error"), [("blocked", SendRefused), ("deleted", SendRefused), (-100777, ChatMoved)]
)
async def test_a_chat_that_is_closed_or_moved(
    server: Server, sender: TelegramSender, state: str | int, error: type[Exception]
) -> None:
    server.bot.chats[42].state = state
    with pytest.raises(error) as caught:
        await sender.send(chunk())
    if isinstance(caught.value, ChatMoved):
        assert caught.value.channel_id == "-100777"
    else:
        assert caught.value.closes_chat  # type: ignore[attr-defined]


async def test_markup_that_is_refused(server: Server, sender: TelegramSender) -> None:
    bad = Rendered("x", {"entities": [{"type": "bold", "offset": 0, "length": 9}]}, "x")
    with pytest.raises(MarkupRefused):
        await sender.send(chunk(rendered=bad))


async def test_the_token_is_shown_nowhere(
    server: Server, sender: TelegramSender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = [repr(sender), repr(make_settings(server)), str(make_settings(server))]
    for fault in (CUT, INTERNAL, Fault(401, "{}"), Fault(302, "", headers={"Location": "/x"})):
        server.bot.faults.order("sendMessage", fault)
        with pytest.raises(Exception) as caught:
            await sender.send(chunk())
        seen += traceback.format_exception(caught.value)
        assert caught.value.__context__ is None
    await sender.send(chunk())
    seen += [caplog.text, *(str(record.__dict__) for record in caplog.records)]
    assert not [text for text in seen if TOKEN.partition(":")[2] in text]


# ---------------------------------------------------------------- edits and drafts


async def test_an_edit_replaces(server: Server, sender: TelegramSender) -> None:
    sent = await sender.send(chunk())
    assert sent is not None
    await sender.edit(chunk("other", actions=(Action("/stop", "Stop"),)), sent)
    await sender.edit(chunk("other", actions=(Action("/stop", "Stop"),)), sent)
    assert server.bot.shown(42) == ["other"]


async def test_what_is_gone_cannot_be_edited(sender: TelegramSender) -> None:
    for platform_id in ("999", "x"):
        with pytest.raises(SendRefused):
            await sender.edit(chunk(), platform_id)


async def test_a_final_takes_the_drafts_place(server: Server, sender: TelegramSender) -> None:
    place = Place("-1", is_direct=False)
    shown = await sender.show_draft(place, "turn", Rendered("so f"), None)
    assert await sender.send(chunk("so far", "-1", replaces=shown)) == shown
    assert server.bot.shown(-1) == ["so far"]


async def test_a_final_is_sent_if_its_draft_was_deleted(
    server: Server, sender: TelegramSender
) -> None:
    assert await sender.send(chunk(replaces="999")) == "2"
    assert server.bot.shown(42) == ["hello"]


async def test_a_private_draft_has_a_call_of_its_own(
    server: Server, sender: TelegramSender
) -> None:
    place = Place("42", "3")
    for text in ("one", "one two", "x" * 5000):
        assert await sender.show_draft(place, "turn", Rendered(text), None) is None
    first, second, third = server.bot.journal
    assert {seen.what for seen in server.bot.journal} == {"draft"}
    assert first.fields["draft_id"] == second.fields["draft_id"] != 0
    assert (first.thread, first.fields["can_stop"], third.text) == (3, True, "x" * 4096)
    await sender.show_draft(place, "another turn", Rendered("x"), None)
    assert server.bot.journal[-1].fields["draft_id"] != first.fields["draft_id"]


async def test_a_draft_in_a_group_is_edited_once_a_second_until_it_is_full(
    server: Server, sender: TelegramSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place("-2", "17", is_direct=False)
    shown = await sender.show_draft(place, "turn", Rendered("one"), None)
    assert await sender.show_draft(place, "turn", Rendered("too soon"), shown) == shown
    monkeypatch.setattr(module, "EDIT_EVERY_S", 0.0)
    for text in ("one two", "one two", "x" * 5000):
        assert await sender.show_draft(place, "turn", Rendered(text), shown) == shown
    assert server.bot.seen(-2, "sent", "edited") == ["one", "one two"]
    assert server.bot.journal[0].thread == 17


# ---------------------------------------------------------------- files


class Blobs:
    """The files that go out."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def get(self, id: str, *, owner: str) -> str:
        assert owner == name_owner("telegram", "default")
        if id not in self.files:
            raise BlobGone("it is gone")
        return id

    async def read(self, blob: str) -> AsyncIterator[bytes]:
        yield self.files[blob]


class Stores:
    def __init__(self) -> None:
        self.blobs = Blobs()


@pytest.fixture
def stores() -> Stores:
    return Stores()


@pytest.fixture
async def with_files(
    server: Server, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[TelegramSender]:
    pace = replace(module.TelegramType.spec.pace, chat=0.0, group=0.0)
    spec = replace(module.TelegramType.spec, pace=pace)
    monkeypatch.setattr(module.TelegramType, "spec", spec)
    context = AccountContext("telegram", "telegram", "default", stores)
    made = TelegramSender(context, make_settings(server))
    yield made
    await made.close()


def file(
    stores: Stores, name: str, data: bytes, kind: str = "file", mime: str = "x/y"
) -> Attachment:
    stores.blobs.files[name] = data
    return Attachment(f"blob:{name}", name, mime, len(data), kind)


@pytest.mark.parametrize(
    ("kind", "mime", "method"),
    [
        ("image", "image/png", "sendPhoto"),
        ("voice", "audio/ogg", "sendVoice"),
        ("voice", "audio/flac", "sendAudio"),
        ("audio", "audio/mpeg", "sendAudio"),
        ("video", "video/mp4", "sendVideo"),
        ("file", "text/plain", "sendDocument"),
    ],
)
async def test_a_file_has_the_text_as_caption(
    server: Server, with_files: TelegramSender, stores: Stores, kind: str, mime: str, method: str
) -> None:
    media = (file(stores, "a", PNG, kind, mime),)
    assert await with_files.send(chunk(rendered=BOLD, media=media, reply_to="1")) == "2"
    (seen,) = server.bot.journal
    assert server.bot.calls[-1][0] == method
    assert (seen.text, seen.fields["caption_entities"]) == ("hello you", BOLD.extras["entities"])
    assert seen.fields["reply_parameters"]["message_id"] == 1
    assert next(iter(server.bot.files.values())).data == PNG


async def test_a_long_text_goes_before_its_files_and_pictures_are_an_album(
    server: Server, with_files: TelegramSender, stores: Stores
) -> None:
    media = (
        file(stores, "a", PNG, "image"),
        file(stores, "b", PNG, "image"),
        file(stores, "c", b"c"),
    )
    assert await with_files.send(chunk("x" * 2000, media=media)) == "2"
    assert [name for name, _ in server.bot.calls] == [
        "sendMessage",
        "sendMediaGroup",
        "sendDocument",
    ]
    assert [len(seen.text) for seen in server.bot.journal] == [2000, 0, 0, 0]


async def test_a_picture_that_is_none_goes_out_as_a_file(
    server: Server, with_files: TelegramSender, stores: Stores
) -> None:
    await with_files.send(chunk(media=(file(stores, "a", b"no picture", "image"),)))
    assert server.bot.calls[-1][0] == "sendDocument"
    assert server.bot.seen(42) == ["hello"]


async def test_a_line_tells_of_a_file_that_cannot_be_sent(
    server: Server, with_files: TelegramSender, stores: Stores
) -> None:
    await with_files.send(chunk(media=(file(stores, "a", b""),)))
    await with_files.send(chunk(media=(Attachment("blob:gone", "b"),)))
    await with_files.send(chunk(media=(Attachment("https://example.org/c", "c"),)))
    assert server.bot.seen(42) == [
        "hello\n\n(I could not send this here: a.)",
        "hello\n\n(I could not send this here: b.)",
        "hello\n\nhttps://example.org/c",
    ]


async def test_a_wait_between_the_parts_of_a_chunk_is_kept(
    server: Server, with_files: TelegramSender, stores: Stores
) -> None:
    wait = {"ok": False, "error_code": 429, "description": "…", "parameters": {"retry_after": 0}}
    server.bot.faults.order("sendDocument", Fault(429, wait))
    media = tuple(file(stores, name, b"x") for name in "ab")
    await with_files.send(chunk("x" * 2000, media=media))
    assert [seen.what for seen in server.bot.journal] == ["sent"] * 3


async def test_a_chunk_that_went_out_in_part_is_unknown(
    server: Server, with_files: TelegramSender, stores: Stores
) -> None:
    wait = {"ok": False, "error_code": 429, "description": "…", "parameters": {"retry_after": 900}}
    server.bot.faults.order("sendDocument", Fault(429, wait))
    with pytest.raises(SendFailed) as caught:
        await with_files.send(chunk("x" * 2000, media=(file(stores, "a", b"x"),)))
    assert caught.value.outcome_unknown

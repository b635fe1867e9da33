"""A bot is heard by polling: nothing is confirmed before it was accepted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sigil.channels.base import CommandName
from sigil.channels.telegram import intake
from sigil.channels.telegram import listener as module
from sigil.channels.telegram.listener import TelegramListener
from sigil.errors import AccountRefused, SendFailed, StoreError
from tests.channels.telegram.case import make_settings
from tests.channels.telegram.conftest import FakeInbox, context, until
from tests.channels.telegram.test_incoming import load
from tests.peers.telegram import Fault, Server

PNG = b"\x89PNG\r\n"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REST_S", 0.05)
    monkeypatch.setattr(module, "POLL_S", 1.0)
    monkeypatch.setattr(intake, "_PAUSES_S", (0.0, 0.0))


@asynccontextmanager
async def listening(listener: TelegramListener, inbox: FakeInbox) -> AsyncIterator[None]:
    task = asyncio.create_task(listener.listen(inbox))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_messages_come_in_order_and_are_confirmed_after_acceptance(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    server.bot.write(42, "one")
    async with listening(listener, inbox):
        await until(lambda: bool(inbox.cursors))
        server.bot.write(42, "two")
        await until(lambda: len(inbox.cursors) == 2)
        await until(lambda: not server.bot.updates.pending)
    assert [message.content for message in inbox.received] == ["one", "two"]
    assert inbox.cursors == [("9002", 1), ("9003", 2)]
    assert inbox.activity


async def test_what_was_not_accepted_comes_again(server: Server, inbox: FakeInbox) -> None:
    server.bot.write(42, "one")
    inbox.error = StoreError("the store is away")
    first = TelegramListener(context(), make_settings(server))
    with pytest.raises(StoreError):
        await first.listen(inbox)
    await first.close()
    assert not inbox.cursors
    again = TelegramListener(context(), make_settings(server))
    async with listening(again, inbox):
        await until(lambda: bool(inbox.received))
    await again.close()


async def test_it_goes_on_where_the_cursor_stands(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    server.bot.write(42, "accepted before")
    server.bot.write(42, "new")
    inbox.cursor = "9002"
    async with listening(listener, inbox):
        await until(lambda: bool(inbox.received))
    assert [message.content for message in inbox.received] == ["new"]


async def test_an_album_is_one_message_though_its_parts_come_apart(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    server.bot.keep("L1", PNG, "a")
    server.bot.keep("L2", PNG, "b")
    first, second = load("album_first"), load("album_second")
    server.bot.updates.put(first)
    async with listening(listener, inbox):
        await until(lambda: _polls(server) == 1)  # it has got the first part alone
        server.bot.updates.put(second)
        await until(lambda: inbox.cursor == str(second["update_id"] + 1))
    (message,) = inbox.received
    assert [attachment.kind for attachment in message.attachments] == ["image", "image"]


class DyingInbox(FakeInbox):
    """Its process dies between acceptance and the cursor, once."""

    dies = True

    async def save_cursor(self, cursor: str) -> None:
        if self.received and self.dies:
            self.dies = False
            raise StoreError("the store is away")
        await super().save_cursor(cursor)


async def test_what_was_accepted_together_is_not_joined_to_what_came_after_a_crash(
    server: Server,
) -> None:
    inbox = DyingInbox()
    server.bot.write(42, "x" * intake.LONG_UNITS)
    first = TelegramListener(context(), make_settings(server))
    with pytest.raises(StoreError):
        await first.listen(inbox)
    await first.close()
    server.bot.write(42, "What do you say?")
    again = TelegramListener(context(), make_settings(server))
    async with listening(again, inbox):
        await until(lambda: not server.bot.updates.pending)
    await again.close()
    taken = {message.message_id: message.content for message in inbox.received[::-1]}
    assert taken == {"1": "x" * intake.LONG_UNITS, "2": "What do you say?"}


def _polls(server: Server) -> int:
    return sum(name == "getUpdates" for name, _ in server.bot.calls)


async def test_a_full_batch_does_not_cut_an_album(
    server: Server, inbox: FakeInbox, listener: TelegramListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    server.bot.keep("L1", PNG, "a")
    server.bot.keep("L2", PNG, "b")
    server.bot.add_chat(7)
    for number, update in enumerate(
        (load("private_topic"), load("album_first"), load("album_second")), 9001
    ):
        server.bot.updates.put(update | {"update_id": number})
    async with listening(listener, inbox):
        await until(lambda: len(inbox.received) == 2)
    assert [len(message.attachments) for message in inbox.received] == [0, 2]


async def test_a_pasted_text_is_one_message(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    server.bot.write(42, "x" * 4096)
    async with listening(listener, inbox):
        await until(lambda: _polls(server) == 1)
        server.bot.write(42, "rest")
        await until(lambda: bool(inbox.received))
    assert [message.content for message in inbox.received] == ["x" * 4096 + "rest"]


# ---------------------------------------------------------------- files


async def test_files_are_kept(server: Server, inbox: FakeInbox, listener: TelegramListener) -> None:
    for name, file_id in (("photo", "L3"), ("document", "D"), ("voice", "V")):
        server.bot.keep(file_id, name.encode(), name)
        server.bot.updates.put(load(name))
    async with listening(listener, inbox):
        await until(lambda: len(inbox.received) == 3)
    kinds = {message.attachments[0].kind: message for message in inbox.received}
    assert sorted(kept for _, kept in inbox.files) == [b"document", b"photo", b"voice"]
    assert kinds["file"].attachments[0].mime_type == "application/pdf"
    assert kinds["file"].content == "read this"
    assert kinds.keys() == {"image", "file", "voice"}


@pytest.mark.parametrize("size", [31_457_280, None], ids=["named", "not named"])
async def test_a_large_file_is_refused_kindly(
    server: Server, inbox: FakeInbox, listener: TelegramListener, size: int | None
) -> None:
    update = load("document_too_large")
    update["message"]["document"]["file_size"] = size
    server.bot.keep("BIG", b"", size=31_457_280)
    server.bot.updates.put(update)
    async with listening(listener, inbox):
        await until(lambda: bool(inbox.received))
    (attachment,) = inbox.received[0].attachments
    assert attachment.url.startswith("refused:The file film.zip is too large")


async def test_a_file_that_does_not_come_holds_nothing_up(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    server.bot.updates.put(load("photo"))
    server.bot.keep("L3", PNG, "a")
    server.bot.faults.order("download", *[Fault(500, "…")] * 3)
    async with listening(listener, inbox):
        await until(lambda: bool(inbox.received))
        assert "could not be loaded" in inbox.received[0].attachments[0].url
        server.bot.updates.put(load("photo") | {"update_id": 9900})
        server.bot.faults.order("download", Fault(500, "…"), Fault(cuts=True))
        await until(lambda: len(inbox.cursors) == 2)
    assert [kept for _, kept in inbox.files] == [PNG]


# ---------------------------------------------------------------- the rest


async def test_a_press_is_acknowledged(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    server.bot.post(server.bot.chats[42], None, {"text": "May I?"})
    query = server.bot.press(42, 1, "/approve AB12")
    async with listening(listener, inbox):
        await until(lambda: server.bot.callbacks[query])
    (message,) = inbox.received
    assert (message.kind, message.content, message.reply_to) == ("action", "/approve AB12", "1")


async def test_an_edit_has_its_time_as_revision(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    server.bot.write(42, "one")
    server.bot.rewrite(42, 1, "two")
    async with listening(listener, inbox):
        await until(lambda: len(inbox.received) == 2)
    assert [(m.kind, m.content, m.message_id) for m in inbox.received] == [
        ("message", "one", "1"),
        ("edit", "two", "1"),
    ]
    assert inbox.received[1].revision


async def test_the_menu_shows_the_commands(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    async with listening(listener, inbox):
        await until(lambda: _polls(server) >= 1)
    assert [each["command"] for each in server.bot.commands] == ["stop", "help"]


async def test_a_menu_that_is_refused_stops_nothing(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    inbox.commands = (CommandName("Not A Command", "x"),)  # type: ignore[assignment]
    async with listening(listener, inbox):
        await until(lambda: _polls(server) >= 1)


async def test_a_webhook_is_removed_before_polling(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    server.bot.updates.timing.hook_set_pause = 0.0
    server.bot.updates.set_hook("http://127.0.0.1:9/elsewhere", "", 40, None)
    async with listening(listener, inbox):
        await until(lambda: server.bot.updates.polls > 0)
    assert not server.bot.updates.hook.url


async def test_a_stranger_who_polls_is_reported(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    task = asyncio.create_task(listener.listen(inbox))
    await until(lambda: server.bot.updates.polls > 0)
    await server.bot.updates.poll(0, 100, 0, None)
    with pytest.raises(SendFailed, match="terminated by other getUpdates") as caught:
        await task
    assert "Stop the other program" in str(caught.value)


async def test_polls_that_bring_nothing_although_updates_wait(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    """After a quiet week ids begin anew, below the offset."""
    server.bot.write(42, "unheard")
    nothing = Fault(200, {"ok": True, "result": []})
    server.bot.faults.order("getUpdates", *[nothing] * (module.LOOK_EVERY + 1))
    async with listening(listener, inbox):
        await until(lambda: bool(inbox.received))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (
            Fault(401, {"ok": False, "error_code": 401, "description": "Unauthorized"}),
            AccountRefused,
        ),
        (Fault(200, {"ok": True, "result": "x"}), SendFailed),
        (Fault(cuts=True), SendFailed),
    ],
)
async def test_what_ends_listening(
    server: Server, inbox: FakeInbox, listener: TelegramListener, fault: Fault, error: type
) -> None:
    server.bot.faults.order("getMe", fault)
    with pytest.raises(error):
        await listener.listen(inbox)


async def test_an_update_that_cannot_be_read_is_left_out(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    broken: dict[str, Any] = json.loads('{"update_id": 9001, "message": {"chat": 1}}')
    server.bot.updates.put(broken)
    server.bot.updates.put(load("private_topic"))
    async with listening(listener, inbox):
        await until(lambda: bool(inbox.cursors))
    assert len(inbox.received) == 1


async def test_a_group_that_moves_is_noted(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    server.bot.updates.put(load("moved_to"))
    async with listening(listener, inbox):
        await until(lambda: bool(inbox.cursors))
    assert inbox.moves == [("-55", "-1001234567890")]


async def test_every_kind_of_update_is_asked_for(
    server: Server, inbox: FakeInbox, listener: TelegramListener
) -> None:
    async with listening(listener, inbox):
        await until(lambda: _polls(server) >= 1)
    assert {"message", "edited_message", "callback_query", "stopped_message_generation"} <= set(
        server.bot.updates.allowed
    )

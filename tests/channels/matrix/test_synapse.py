"""Against a real homeserver: in and out, edits, threads, files, and a restart in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from sigil.channels.base import AccountContext, Chunk, Place, Rendered
from sigil.channels.matrix.listener import MatrixListener
from sigil.channels.matrix.sender import MatrixSender
from sigil.errors import AccountRefused, SendRefused, StoreError
from tests.channels.inbox import WaitingInbox
from tests.channels.matrix.scene import CONTEXT, Scene

# Everything here is done by one process, so that one Synapse is started.
pytestmark = pytest.mark.xdist_group("synapse")

FILE = "f" * 32


@pytest.fixture
async def sender(scene: Scene) -> AsyncIterator[MatrixSender]:
    sender = MatrixSender(CONTEXT, scene.settings())
    yield sender
    await sender.close()


async def test_a_message_comes_in_and_its_reply_goes_out(
    scene: Scene, sender: MatrixSender
) -> None:
    async with scene.listening() as inbox:
        await scene.meet()
        asked = scene.alice.say(scene.room, "What is 6 times 7?")
        (message,) = await inbox.wait_for(1)
        assert message.content == "What is 6 times 7?"
        assert (message.message_id, message.sender_id) == (asked, scene.alice.user_id)
        assert message.is_direct
        assert message.sender_name == scene.alice.user_id[1:].partition(":")[0]
        await sender.show_typing(Place(scene.room))
        html = Rendered("It is 42.", {"formatted_body": "It is <b>42</b>."}, "It is 42.")
        chunk = Chunk("c1", scene.reply("It is **42**.", reply_to=asked), rendered=html)
        sent = await sender.send(chunk)
        assert await sender.send(chunk) == sent  # the same transaction
        again = scene.alice.say(scene.room, "Thanks!")
        # Its own words come back with the same sync, and are dropped.
        assert [m.message_id for m in await inbox.wait_for(2)] == [asked, again]
    (event,) = [e for e in scene.alice.read(scene.room) if e["event_id"] == sent]
    assert event["content"]["formatted_body"] == "It is <b>42</b>."
    assert event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == asked
    assert scene.texts() == ["It is 42."]


async def test_what_was_said_with_the_invitation_is_answered_and_what_was_said_before_is_not(
    scene: Scene,
) -> None:
    async with scene.listening() as inbox:
        scene.room = scene.alice.create_room()
        scene.alice.say(scene.room, "between us")
        scene.alice.call("POST", f"/rooms/{scene.room}/invite", {"user_id": scene.bot.user_id})
        scene.alice.say(scene.room, "hello bot")
        await inbox.wait_for(1)
        scene.alice.say(scene.room, "and now?")
        assert [m.content for m in await inbox.wait_for(2)] == ["hello bot", "and now?"]


async def test_edits_threads_replies_and_groups(scene: Scene) -> None:
    bob = scene.synapse.add_person("bob")
    async with scene.listening() as inbox:
        await scene.meet()
        room, alice = scene.room, scene.alice
        first = alice.say(room, "one")
        edit = alice.say(
            room,
            "* two",
            **{
                "m.new_content": {"msgtype": "m.text", "body": "two"},
                "m.relates_to": {"rel_type": "m.replace", "event_id": first},
            },
        )
        alice.say(
            room, "in thread", **{"m.relates_to": {"rel_type": "m.thread", "event_id": first}}
        )
        _, edited, threaded = await inbox.wait_for(3)
        assert (edited.kind, edited.message_id, edited.revision) == ("edit", first, edit)
        assert edited.content == "two"
        assert threaded.thread_id == first
        alice.call("POST", f"/rooms/{room}/invite", {"user_id": bob.user_id})
        bob.join(room)
        bob.say(room, "hello all", **{"m.mentions": {}})
        bob.say(room, "and you?", **{"m.mentions": {"user_ids": [scene.bot.user_id]}})
        # Nobody edits what others wrote; the server lets it pass.
        bob.say(
            room,
            "* forged",
            **{
                "m.new_content": {"msgtype": "m.text", "body": "forged"},
                "m.relates_to": {"rel_type": "m.replace", "event_id": first},
            },
        )
        bob.say(room, "end", **{"m.mentions": {}})
        *_, to_all, to_bot, end = await inbox.wait_for(6)
        assert [m.content for m in (to_all, to_bot, end)] == ["hello all", "and you?", "end"]
        assert not to_all.is_direct
        assert [m.addressed for m in (to_all, to_bot)] == [False, True]


async def test_files_come_in_and_go_out(scene: Scene) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100
    async with scene.listening() as inbox:
        await scene.meet()
        address = scene.alice.upload(picture, "image/png", "garden.png")
        scene.alice.send(
            scene.room,
            {
                "msgtype": "m.image",
                "body": "Our garden",
                "filename": "garden.png",
                "url": address,
                "info": {"mimetype": "image/png", "size": len(picture)},
            },
        )
        (message,) = await inbox.wait_for(1)
    (attachment,) = message.attachments
    assert (attachment.kind, attachment.name, message.content) == (
        "image",
        "garden.png",
        "Our garden",
    )
    assert inbox.files == [(attachment, picture)]
    sender = MatrixSender(
        AccountContext("matrix", "matrix", "default", SimpleNamespace(blobs=Blobs(picture))),
        scene.settings(),
    )
    outgoing = scene.reply("Here", media=(type(attachment)(f"blob:{FILE}", "b.png", "image/png"),))
    await sender.send(Chunk("c1", outgoing))
    await sender.send(Chunk("c1", outgoing))
    await sender.close()
    sent = [e["content"] for e in scene.alice.read(scene.room) if e["sender"] == scene.bot.user_id]
    files = [content for content in sent if "url" in content]
    assert len(files) == 1
    assert scene.alice.download(files[0]["url"]) == picture


class Blobs:
    """A store of one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def get(self, id: str, *, owner: str) -> Any:
        assert (id, owner) == (FILE, "matrix/default")
        return SimpleNamespace(size=len(self._data))

    async def read(self, blob: Any) -> AsyncIterator[bytes]:
        yield self._data


async def test_a_draft_becomes_the_answer(scene: Scene, sender: MatrixSender) -> None:
    async with scene.listening():
        await scene.meet()
    place = Place(scene.room)
    shown = await sender.show_draft(place, "d1", Rendered("It"), None)
    shown = await sender.show_draft(place, "d1", Rendered("It is"), shown)
    assert scene.texts() == ["It is"]
    final = Chunk("c1", scene.reply("It is 42."), rendered=Rendered("It is 42."), replaces=shown)
    assert await sender.send(final) == shown
    assert await sender.send(final) == shown
    assert scene.texts() == ["It is 42."]


async def test_a_restart_loses_nothing_and_doubles_nothing(scene: Scene) -> None:
    said: list[str] = []
    with pytest.raises(StoreError):
        await listen_until_the_store_is_away(scene, said)
    # More than a sync gives at once is said meanwhile, so there is a gap.
    said += [scene.alice.say(scene.room, f"while away {n}") for n in range(130)]
    async with scene.listening() as inbox:
        said.append(scene.alice.say(scene.room, "last"))
        messages = await inbox.wait_for(len(said))
    assert [message.message_id for message in messages] == said


async def listen_until_the_store_is_away(scene: Scene, said: list[str]) -> None:
    async with scene.listening() as inbox:
        await scene.meet()
        said.append(scene.alice.say(scene.room, "first"))
        await inbox.wait_for(1)
        inbox.error = StoreError("Redis did not answer.")
        said.append(scene.alice.say(scene.room, "second"))
        await scene.wait_until(lambda: inbox.error is None)
        await asyncio.sleep(0)  # the listener ends with that error, and so does the block


async def test_a_kicked_bot_is_told_so(scene: Scene, sender: MatrixSender) -> None:
    async with scene.listening():
        await scene.meet()
        kick = {"user_id": scene.bot.user_id}
        scene.alice.call("POST", f"/rooms/{scene.room}/kick", kick)
        with pytest.raises(SendRefused) as caught:
            await sender.send(Chunk("c1", scene.reply("Hello?")))
    assert caught.value.closes_chat


async def test_an_invitation_from_a_stranger_is_declined(scene: Scene) -> None:
    scene.inbox.strangers.add(scene.alice.user_id)
    async with scene.listening():
        room = scene.alice.create_room(scene.bot.user_id)
        left = {"state_key": scene.bot.user_id, "membership": "leave"}

        def has_left() -> bool:
            return any(
                event.get("state_key") == left["state_key"]
                and event["content"].get("membership") == left["membership"]
                for event in scene.alice.read(room)
            )

        await scene.wait_until(has_left)


async def test_an_encrypted_room_is_told_once(scene: Scene) -> None:
    async with scene.listening() as inbox:
        await scene.meet()
        content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgA", "session_id": "X"}
        scene.alice.send(scene.room, content, "m.room.encrypted")
        scene.alice.send(scene.room, content, "m.room.encrypted")
        scene.alice.say(scene.room, "in clear")
        await inbox.wait_for(1)
    (told,) = scene.texts()
    assert "encrypted" in told


async def test_a_login_by_password_keeps_the_device(scene: Scene) -> None:
    async with scene.listening():
        await scene.meet()
    settings = scene.settings(access_token=None, password=scene.bot.password)
    ids = set()
    for _ in range(2):
        sender = MatrixSender(CONTEXT, settings)
        ids.add(await sender.send(Chunk("c1", scene.reply("Hello"))))
        await sender.close()
    assert len(ids) == 1
    assert scene.texts() == ["Hello"]


async def test_the_account_is_checked(scene: Scene) -> None:
    async with scene.listening():
        await scene.meet()
        by_token = await MatrixListener(CONTEXT, scene.settings()).check()
        settings = scene.settings(access_token=None, password=scene.bot.password)
        by_password = await MatrixListener(CONTEXT, settings).check()
        wrong = scene.settings(access_token=None, password="wrong")
        refused = await MatrixListener(CONTEXT, wrong).check()
    assert all(each.ok for each in (*by_token, *by_password))
    assert [each.ok for each in refused] == [True, False]
    listener = MatrixListener(CONTEXT, wrong)
    with pytest.raises(AccountRefused):
        await listener.listen(WaitingInbox())
    await listener.close()

"""From a person's app through Sigil, but for its processes, and back."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator

import pytest

from sigil.bootstrap import build
from sigil.channels.telegram import listener as module
from sigil.config import Settings
from sigil.gateway import Gateway
from sigil.inbound.inbox import AccountInbox
from sigil.providers.fakes import ScriptedProvider
from sigil.testing import fake_stores, settle
from tests.channels.telegram.conftest import until
from tests.channels.telegram.test_incoming import load
from tests.peers.telegram import TOKEN, Server

PNG = b"\x89PNG\r\n\x1a\n" + b"\1" * 100
PDF = b"%PDF-1.7\n" + b"\1" * 100
OGG = b"OggS" + b"\1" * 100
LONG = "\n\n".join(f"**{number}** `code` 🙂 " + "word " * 30 for number in range(60))


class Scene:
    """A bot, the gateway that hears it, and the model that answers."""

    def __init__(self, server: Server, *answers: str) -> None:
        self.bot = server.bot
        self.model = ScriptedProvider(answers or ["Hello *you*"] * 9, name="fake")
        settings = Settings.model_validate(
            {
                "channels": {
                    "telegram": {
                        "token": TOKEN,
                        "base_url": server.url,
                        "pairing": "open",
                        "coalesce": False,
                    }
                },
                "models": {"default": "fake/model"},
            }
        )
        self.gateway: Gateway = build(settings, fake_stores(), providers={"fake": self.model})
        entry = self.gateway.channels.find("telegram")
        assert entry.listener is not None
        self.listener = entry.listener
        self.inbox = AccountInbox(entry, self.gateway)
        self.inbox.token = "t"
        self.cursors: list[str] = []
        self.inbox.save_cursor = self._save  # type: ignore[method-assign]

    async def _save(self, cursor: str) -> None:
        self.cursors.append(cursor)

    async def hear(self) -> None:
        """Takes in what waits, and answers it."""
        listening = asyncio.create_task(self.listener.listen(self.inbox))
        await until(lambda: bool(self.cursors) and not self.bot.updates.pending)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await settle(self.gateway)


@pytest.fixture
async def scene(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(module, "REST_S", 0.01)
    monkeypatch.setattr(module, "POLL_S", 0.2)
    made = Scene(server)
    yield made
    await made.gateway.close()


async def test_an_answer_goes_to_the_topic_and_names_the_question(
    scene: Scene, server: Server
) -> None:
    scene.bot.add_chat(-1001, "supergroup", is_forum=True, topics={17})
    update = load("topic_reply_with_quote")
    scene.bot.chats[-1001].messages[6] = update["message"]
    scene.bot.chats[-1001].next_id = 7
    scene.bot.updates.put(update)
    await scene.hear()
    (seen,) = [each for each in scene.bot.journal if each.what == "sent"]
    assert (seen.text, seen.thread) == ("Hello you", 17)
    assert seen.fields["entities"] == [{"type": "italic", "offset": 6, "length": 3}]
    assert seen.fields["reply_parameters"]["message_id"] == 6


async def test_what_is_not_meant_for_the_bot_is_not_answered(scene: Scene) -> None:
    for name in ("group_unaddressed", "own_message", "rich_message_of_a_bot", "channel_post"):
        scene.bot.updates.put(load(name))
    await scene.hear()
    assert not scene.model.requests
    assert not scene.bot.journal


async def test_a_command_in_a_private_chat(scene: Scene) -> None:
    scene.bot.write(
        42, "/help@sigil_bot", entities=[{"type": "bot_command", "offset": 0, "length": 15}]
    )
    await scene.hear()
    assert "/stop" in scene.bot.shown(42)[0]


async def test_a_long_answer_comes_in_messages_that_telegram_takes(server: Server) -> None:
    scene = Scene(server, LONG)
    scene.bot.write(42, "tell me")
    await scene.hear()
    await scene.gateway.close()
    shown = scene.bot.shown(42)
    assert len(shown) > 1
    assert " ".join(shown).split() == LONG.replace("**", "").replace("`", "").split()


async def test_files_reach_a_model_that_sees(scene: Scene) -> None:
    for file_id, data in (("L1", PNG), ("L2", PNG), ("L3", PNG), ("D", PDF), ("V", OGG)):
        scene.bot.keep(file_id, data, file_id)
    for name in ("photo", "album_first", "album_second", "document", "voice"):
        scene.bot.updates.put(load(name))
    await scene.hear()
    asked = [request.messages[-1] for request in scene.model.requests]
    images = sorted(
        [b64decode(image.url.partition(",")[2]) for image in question.images] for question in asked
    )
    assert [each for each in images if each] == [[PNG], [PNG, PNG]]
    assert any("plan.pdf" in question.content or question.files for question in asked)
    assert any("listen" in text or "voice" in text for text in scene.bot.shown(42)), (
        scene.bot.shown(42)
    )


async def test_a_large_file_is_refused_kindly(scene: Scene) -> None:
    scene.bot.updates.put(load("document_too_large"))
    await scene.hear()
    (text,) = scene.bot.shown(42)
    assert "film.zip" in text
    assert not scene.model.requests

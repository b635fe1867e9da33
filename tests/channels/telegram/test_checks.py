"""What `sigil channel test` says, and what the settings refuse."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sigil.channels.base import Check
from sigil.channels.telegram.listener import TelegramListener
from sigil.channels.telegram.settings import TelegramSettings
from tests.channels.telegram.case import make_settings
from tests.channels.telegram.conftest import context
from tests.peers.telegram import TOKEN, Server

HOOK = {"mode": "webhook", "public_url": "https://sigil.example.org"}


async def check(server: Server, **given: Any) -> list[Check]:
    listener = TelegramListener(context(), make_settings(server, **given))
    found = await listener.check()
    await listener.close()
    return list(found)


async def test_all_is_well(server: Server) -> None:
    found = await check(server)
    assert [each.ok for each in found] == [True, True, True]
    assert "@sigil_bot" in found[0].what
    assert "privacy mode is on" in found[1].what
    assert not server.bot.updates.polls, "it changes nothing"


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"token": "1:" + "x" * 35}, "@BotFather"),
        ({"token": None}, "channels.telegram.token"),
        ({"base_url": "http://127.0.0.1:1"}, "channels.telegram.base_url"),
    ],
    ids=["wrong token", "no token", "unreachable"],
)
async def test_what_must_be_mended(server: Server, given: dict[str, Any], hint: str) -> None:
    (found,) = await check(server, **given)
    assert not found.ok
    assert hint in found.hint


async def test_a_webhook_that_nobody_can_reach(server: Server) -> None:
    assert "Start a gateway" in (await check(server, **HOOK))[-1].hint
    assert "public_url" in (await check(server, mode="webhook"))[-1].hint
    hook = server.bot.updates.hook
    hook.url = "https://sigil.example.org/hooks/telegram"
    assert (await check(server, **HOOK))[-1].ok
    server.bot.updates.pending[1] = {"update_id": 1, "message": {"chat": {"id": 1}}}
    hook.last_error = (1, "Wrong response from the webhook: 502 Bad Gateway")
    last = (await check(server, **HOOK))[-1]
    assert not last.ok
    assert "502 Bad Gateway; 1 updates wait" in last.what


async def test_a_webhook_while_polling(server: Server) -> None:
    server.bot.updates.hook.url = "https://elsewhere"
    assert not (await check(server))[-1].ok


@pytest.mark.parametrize(
    "given",
    [
        {"token": "with a blank"},
        {"token": "1:a/../b"},
        {"token": TOKEN, "secret": "not allowed!"},
        {"token": TOKEN, "secret": "x" * 257},
        {"token": TOKEN, "mode": "push"},
        {"token": TOKEN, "unknown": 1},
        {"token": TOKEN, "base_url": "ftp://x"},
    ],
)
def test_settings_that_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TelegramSettings(**given)

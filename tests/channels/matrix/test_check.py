"""What `sigil channel test` says."""

from __future__ import annotations

from typing import Any

import pytest

from sigil.channels.base import Check
from sigil.channels.matrix.listener import MatrixListener
from tests.channels.matrix.accounts import CONTEXT, make_settings
from tests.peers.matrix.homeserver import BOT, PASSWORD, Homeserver
from tests.peers.matrix.script import Fault


async def check(server: Homeserver, **given: Any) -> list[Check]:
    return list(await MatrixListener(CONTEXT, make_settings(server, **given)).check())


async def test_a_sound_account(server: Homeserver) -> None:
    server.members["!r"] = {BOT: "Sigil"}
    found = await check(server)
    assert all(each.ok for each in found)
    assert "device SIGIL" in found[1].what


@pytest.mark.parametrize(
    ("given", "what", "hint"),
    [
        ({"homeserver": "http://127.0.0.1:1"}, "could not be reached", "homeserver"),
        ({"access_token": "wrong"}, "M_UNKNOWN_TOKEN", "access_token"),
        ({"access_token": None, "password": "wrong"}, "refuses the login", "password"),
        ({"access_token": None}, "neither a token nor a password", "access_token"),
        ({"user_id": "@other:hs"}, f"belongs to {BOT}", "user_id"),
    ],
)
async def test_a_wrong_setting_is_named(
    given: dict[str, Any], what: str, hint: str, server: Homeserver
) -> None:
    last = (await check(server, **given))[-1]
    assert not last.ok
    assert what in last.what
    assert hint in last.hint


@pytest.mark.parametrize("fault", [Fault(404, b"<html>"), Fault(200, {"no": "versions"})])
async def test_another_server_at_the_address_is_noticed(fault: Fault, server: Homeserver) -> None:
    server.fail("versions", fault)
    (found,) = await check(server)
    assert not found.ok
    assert ".well-known" in found.hint


async def test_a_room_without_the_right_to_write_and_an_encrypted_one_are_named(
    server: Homeserver,
) -> None:
    server.members = {"!silent": {}, "!secret": {}, "!fine": {}}
    server.states["!silent", "m.room.power_levels"] = {"events_default": 50, "users": {BOT: 0}}
    server.states["!fine", "m.room.power_levels"] = {"events_default": 50, "users": {BOT: 50}}
    server.states["!secret", "m.room.encryption"] = {"algorithm": "m.megolm.v1.aes-sha2"}
    bad = [each.what for each in await check(server) if not each.ok]
    assert bad == [
        "may not write in !silent",
        "!secret is encrypted; messages there cannot be read",
    ]


async def test_it_changes_nothing(server: Homeserver) -> None:
    """A login by password is for a device of its own: that of the running Sigil stays."""
    before = dict(server.tokens)
    assert all(each.ok for each in await check(server, access_token=None, password=PASSWORD))
    assert server.tokens == before

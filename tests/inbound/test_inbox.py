"""What a listener gets for its account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sigil.bootstrap import build
from sigil.channels.account_leases import AccountRecord
from sigil.channels.base import ChannelSpec, Inbox, MediaRules, Report
from sigil.commands.table import COMMANDS
from sigil.config import Settings
from sigil.errors import LeaseLost, MediaRefused, MessageInvalid
from sigil.inbound.inbox import MOST_CURSOR_BYTES, AccountInbox
from sigil.messages.exchange import InboundMessage, OutboundMessage
from sigil.stores import Stores
from sigil.testing import MemoryChannel, settle

SPEC = ChannelSpec(reports=True, media=MediaRules(frozenset({"file"}), largest_in=10))


def open_inbox(stores: Stores, **channel: Any) -> AccountInbox:
    settings = Settings.model_validate(
        {
            "channels": {"memory": channel},
            "users": {"ann": {"role": "owner", "identities": ["memory:ann"]}},
        }
    )
    gateway = build(settings, stores, channels={"memory": MemoryChannel("memory", spec=SPEC)})
    return AccountInbox(gateway.channels.find("memory"), gateway)


@pytest.mark.parametrize(
    ("channel", "heard"),
    [
        ({"pairing": "closed"}, {"ann"}),
        ({"pairing": "allowlist", "allowlist": ["bob"]}, {"ann", "bob"}),
        ({"pairing": "open"}, {"ann", "bob", "eve"}),
        ({"pairing": "pair_on_request"}, {"ann", "dan"}),
        ({"pairing": "pair_with_code"}, {"ann", "dan"}),
    ],
)
async def test_who_would_be_heard(stores: Stores, channel: Any, heard: set[str]) -> None:
    inbox = open_inbox(stores, **channel)
    if "dan" in heard:
        await stores.pairings.add("memory", "dan", await admit_dan(stores))
    found = {who for who in ("ann", "bob", "dan", "eve") if await inbox.is_admitted(who)}
    assert found - {"dan"} == heard - {"dan"}
    assert ("dan" in found) is ("dan" in heard or channel["pairing"] == "open")
    assert {user.id for user in await stores.users.all()} <= {"usr-dan"}, "nothing was written"


@pytest.mark.parametrize("id", ["", "@eve\x07:hs", "@" + "ü" * 200])
async def test_an_id_that_is_none_is_nobodys(id: str, stores: Stores) -> None:
    assert not await open_inbox(stores, pairing="open").is_admitted(id)


async def test_a_chat_that_moves_is_noted(stores: Stores) -> None:
    inbox = open_inbox(stores)
    await inbox.move_chat("-55", "-100")
    await inbox.move_chat("-55", "-55")
    await inbox.move_chat("-100", "-55")  # it would lead back
    overlay = await stores.directory.load()
    assert {old: new for old, (new, _) in overlay.moved.items()} == {("memory", "-55"): "-100"}


async def admit_dan(stores: Stores) -> str:
    from sigil.identity.users import Identity, User

    await stores.users.add(User("usr-dan", "Dan", identities=(Identity("memory", "dan"),)))
    return "usr-dan"


async def test_the_cursor_is_saved_under_the_lease(stores: Stores) -> None:
    inbox: Inbox = open_inbox(stores)
    with pytest.raises(LeaseLost):
        await inbox.save_cursor("7")
    with pytest.raises(LeaseLost):
        await inbox.save_last_message("room", "1")
    held = open_inbox(stores)
    await stores.accounts.hold(AccountRecord("memory"), "t", ttl=60, takes=True)
    held.token = "t"
    await held.save_cursor("7")
    await held.save_last_message("room", "1")
    assert await inbox.load_cursor() == "7"
    assert await inbox.load_last_messages() == {"room": "1"}
    with pytest.raises(MessageInvalid):
        await held.save_cursor("x" * (MOST_CURSOR_BYTES + 1))
    with pytest.raises(MessageInvalid):
        await held.save_last_message("room", "x" * 257)


async def test_what_comes_in_is_accepted_once_and_shows_life(stores: Stores) -> None:
    inbox = open_inbox(stores)
    message = InboundMessage("memory", "room", "1", "ann", "hello")
    assert not (await inbox.receive(message)).duplicate
    assert inbox.active_at is not None
    assert (await inbox.receive(message)).duplicate


async def test_files_are_kept_as_the_channel_says(stores: Stores) -> None:
    async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    inbox = open_inbox(stores)
    given: dict[str, Any] = {"name": "a.txt", "mime_type": "text/plain"}
    kept = await inbox.keep_file(pieces(b"hello"), kind="file", **given)
    assert kept.url.startswith("blob:")
    with pytest.raises(MediaRefused):
        await inbox.keep_file(pieces(b"hello", b" there!"), kind="file", **given)
    with pytest.raises(MediaRefused):
        await inbox.keep_file(pieces(b"hello"), kind="voice", **given)


async def test_a_report_finds_the_message_by_the_entrys_name(stores: Stores) -> None:
    inbox = open_inbox(stores)
    gateway = inbox._gateway
    item_id = await gateway.notify(OutboundMessage("memory", "room", "hello"))
    await settle(gateway)
    platform_id = "1"  # the first that this channel sent
    await inbox.report(platform_id, Report("failed", "blocked"))
    record = await stores.messages.get(item_id)
    assert record is not None
    assert (record["delivery"], record["report:0"]) == ("undelivered", "failed blocked")
    await inbox.report("unknown", Report("failed"))


async def test_menus_are_made_of_the_commands(stores: Stores) -> None:
    inbox = open_inbox(stores)
    assert [command.name for command in inbox.commands] == list(COMMANDS)
    assert all(command.help for command in inbox.commands)

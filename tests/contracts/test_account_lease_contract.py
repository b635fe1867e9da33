"""Who listens for an account, and how far it has come: the same over every store."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sigil.channels.account_leases import MOST_LAST_MESSAGES, AccountRecord, describe_trouble
from sigil.errors import LeaseLost
from sigil.stores import Stores
from sigil.testing import expire_accounts

FAMILY = AccountRecord("family", "web-1:1")


async def take(stores: Stores, token: str, record: AccountRecord = FAMILY) -> bool:
    return await stores.accounts.hold(record, token, ttl=10, takes=True)


async def renew(stores: Stores, token: str, record: AccountRecord = FAMILY) -> bool:
    return await stores.accounts.hold(record, token, ttl=10, takes=False)


async def test_one_process_holds_an_account(stores: Stores) -> None:
    held = await asyncio.gather(*(take(stores, token) for token in "abcde"))
    assert held.count(True) == 1
    first = "abcde"[held.index(True)]
    assert await take(stores, first)  # the answer was lost, and the client asks again
    assert await take(stores, "other", replace(FAMILY, id="work"))


async def test_a_lease_that_was_given_up_is_free_at_once(stores: Stores) -> None:
    await take(stores, "a")
    await stores.accounts.give_up("family", "a")
    assert await take(stores, "b")


async def test_a_lease_that_ran_out_is_taken_and_the_late_holder_is_told(stores: Stores) -> None:
    await take(stores, "a")
    await expire_accounts(stores)
    assert await renew(stores, "a")  # nobody took it
    await expire_accounts(stores)
    assert await take(stores, "b")
    assert not await renew(stores, "a")
    await stores.accounts.give_up("family", "a")
    assert await renew(stores, "b")


async def test_a_late_call_takes_no_lease_that_nobody_would_renew(stores: Stores) -> None:
    await take(stores, "a")
    await stores.accounts.give_up("family", "a")
    assert not await take(stores, "a")
    assert not await renew(stores, "a")
    assert await take(stores, "b")


async def test_a_lease_of_a_clock_that_stepped_back_is_over(stores: Stores) -> None:
    await take(stores, "a")
    await expire_accounts(stores, ahead=3_600)
    assert await take(stores, "b")


async def test_the_cursor_is_the_holders(stores: Stores) -> None:
    assert await stores.accounts.load_cursor("family") is None
    with pytest.raises(LeaseLost):
        await stores.accounts.save_cursor("family", "a", "1")
    await take(stores, "a")
    await stores.accounts.save_cursor("family", "a", "1")
    await expire_accounts(stores)
    await take(stores, "b")
    await stores.accounts.save_cursor("family", "b", "2")
    with pytest.raises(LeaseLost):
        await stores.accounts.save_cursor("family", "a", "3")
    await stores.accounts.give_up("family", "b")
    with pytest.raises(LeaseLost):
        await stores.accounts.save_cursor("family", "b", "4")
    assert await stores.accounts.load_cursor("family") == "2"
    assert await stores.accounts.load_cursor("work") is None


async def test_the_last_messages_of_the_newest_chats_are_kept(stores: Stores) -> None:
    with pytest.raises(LeaseLost):
        await stores.accounts.save_last_message("family", "a", "chat", "1")
    await take(stores, "a")
    accounts = stores.accounts
    for chat in range(MOST_LAST_MESSAGES):
        await accounts.save_last_message("family", "a", f"chat-{chat:04}", "1")
    await accounts.save_last_message("family", "a", "chat-0000", "2")
    await accounts.save_last_message("family", "a", "one more", "1")
    kept = await accounts.load_last_messages("family")
    assert len(kept) == MOST_LAST_MESSAGES
    assert (kept["chat-0000"], kept["one more"]) == ("2", "1")
    assert "chat-0001" not in kept
    assert await accounts.load_last_messages("work") == {}


async def test_what_is_said_of_an_account_is_shown(stores: Stores) -> None:
    said = replace(FAMILY, state="resting", silence=5.0, error="the network is away", rests=60.0)
    await take(stores, "a", said)
    await stores.accounts.save_cursor("family", "a", "1")
    known, other = await stores.accounts.list(["family", "work"])
    assert other == AccountRecord("work", is_held=False)
    assert (known.id, known.process, known.state) == ("family", "web-1:1", "resting")
    assert known.silence is not None
    assert 5 <= known.silence < 10
    assert known.cursor_age is not None
    assert known.cursor_age < 5
    assert 50 < known.rests <= 60
    assert "family does not listen: the network is away" in describe_trouble(known)
    assert describe_trouble(known, with_cause=False) == "the channel family does not listen"
    await expire_accounts(stores)
    [known] = await stores.accounts.list(["family"])
    assert describe_trouble(known) == "nobody listens for the channel family"


@pytest.mark.parametrize("broken", ["", "{}", "[]", '{"process": 1}', "nonsense"])
async def test_what_nobody_can_read_says_nothing(stores: Stores, broken: str) -> None:
    await take(stores, "a")
    key = stores.backend.keys.account("family")  # type: ignore[attr-defined]
    await stores.backend.redis.hset(key, "record", broken)  # type: ignore[attr-defined]
    [known] = await stores.accounts.list(["family"])
    assert (known.process, known.is_held) == ("", True)


async def test_a_newer_process_may_say_more(stores: Stores) -> None:
    await take(stores, "a")
    key = stores.backend.keys.account("family")  # type: ignore[attr-defined]
    said = '{"process": "web-2:7", "invented_later": [1]}'
    await stores.backend.redis.hset(key, "record", said)  # type: ignore[attr-defined]
    [known] = await stores.accounts.list(["family"])
    assert known.process == "web-2:7"

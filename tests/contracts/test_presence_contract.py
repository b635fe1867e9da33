"""What a `PresenceStore` keeps of running turns, and whom it gives them to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sigil.channels.presences import DuePresence, PresencePlace, PresenceUpdate
from sigil.lanes.effects import Push
from sigil.stores import Stores

PLACE = PresencePlace("telegram", "default", "telegram", "-100", "7", False, "delivery:telegram:x")


def update(token: int = 1, revision: int = 1, text: str = "so far", **more: Any) -> PresenceUpdate:
    return PresenceUpdate("t", PLACE, token, revision, text, **more)


async def take(stores: Stores) -> list[DuePresence]:
    return await stores.presences.take_due(10, busy_s=6)


async def pass_time(stores: Stores, seconds: float = 1.0) -> None:
    """Lets so much time pass for the turn."""
    client: Any = stores.backend
    redis, keys = client.redis, client.keys
    if await redis.zscore(keys.presences(), "t") is not None:
        await redis.zincrby(keys.presences(), -1000 * seconds, "t")
    for field in ("alive_until", "busy_until", "typed_at"):
        value = await redis.hget(keys.presence("t"), field)
        if value is not None:
            await redis.hset(keys.presence("t"), field, int(value) - round(1000 * seconds))


async def test_a_turn_is_given_to_one_process_and_once_a_second(stores: Stores) -> None:
    await stores.presences.write([update()])
    (due,) = await take(stores)
    assert (due.place, due.text, due.shown, due.is_new) == (PLACE, "so far", None, True)
    assert await take(stores) == []
    await pass_time(stores)
    assert await take(stores) == [], "another process may still be at it"
    await stores.presences.note_shown(due, shown="m1")
    await pass_time(stores)
    (due,) = await take(stores)
    assert (due.shown, due.is_new) == ("m1", False)


async def test_a_process_that_died_while_showing_holds_up_nobody_for_long(stores: Stores) -> None:
    await stores.presences.write([update()])
    await take(stores)
    await pass_time(stores, 7)
    assert len(await take(stores)) == 1


@pytest.mark.parametrize(("token", "revision"), [(4, 9), (5, 2), (5, 1)])
async def test_a_late_one_is_dropped(stores: Stores, token: int, revision: int) -> None:
    await stores.presences.write([update(5, 2, "newest")])
    await stores.presences.write([update(token, revision, "late")])
    assert [due.text for due in await take(stores)] == ["newest"]


async def test_who_takes_over_goes_on_in_the_same_message(stores: Stores) -> None:
    await stores.presences.write([update(5, 7)])
    (due,) = await take(stores)
    await stores.presences.note_shown(due, shown="m1")
    await pass_time(stores, 60)
    assert await take(stores) == [], "its worker has died"
    await stores.presences.write([update(6, 1, "")])
    (due,) = await take(stores)
    assert (due.shown, due.text, due.is_new) == ("m1", "", True)


async def test_nothing_is_shown_while_something_waits_for_the_chat(stores: Stores) -> None:
    await stores.lanes.push(Push(PLACE.lane, "an-answer", {"body": "{}"}))
    await stores.presences.write([update()])
    assert await take(stores) == []


async def test_nothing_is_shown_while_the_account_rests(stores: Stores) -> None:
    await stores.account_rests.begin("telegram", "limited", "flood", seconds=30)
    await stores.presences.write([update()])
    assert await take(stores) == []


async def test_the_end_says_what_was_shown_and_lets_nothing_more_be_shown(stores: Stores) -> None:
    await stores.presences.write([update()])
    (due,) = await take(stores)
    end = await stores.presences.end("t")
    assert end.shown is None
    assert 5 < end.seconds <= 6, "a draft may be on its way"
    await stores.presences.note_shown(due, shown="m1")
    for _ in range(2):
        assert await stores.presences.end("t") == replace(end, shown="m1", seconds=0)
    await stores.presences.write([update(9, 9, "late")])
    await pass_time(stores, 9)
    assert await take(stores) == []


async def test_a_turn_that_is_over_is_not_shown(stores: Stores) -> None:
    await stores.presences.write([update()])
    await stores.presences.write([update(1, 2, is_over=True)])
    assert await take(stores) == []


async def test_typing_and_a_lost_draft_are_remembered(stores: Stores) -> None:
    await stores.presences.write([update(text="")])
    (due,) = await take(stores)
    assert due.typing_ago > 1e6
    await stores.presences.note_shown(due, is_typing=True)
    await pass_time(stores)
    (due,) = await take(stores)
    assert 0.9 < due.typing_ago < 3
    await stores.presences.note_shown(due, is_lost=True)
    await pass_time(stores)
    assert [each.is_lost for each in await take(stores)] == [True]

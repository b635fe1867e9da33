"""What a `ChatStore` keeps of the drafts of running turns."""

from __future__ import annotations

import pytest

from sigil.channels.live import DraftUpdate
from sigil.stores import Stores


async def read_texts(stores: Stores, chat: str) -> list[str]:
    return [event.data["text"] for event in await stores.chats.read(chat)]


async def test_each_chat_has_the_newest_draft_of_its_turn(stores: Stores) -> None:
    both = [DraftUpdate("web:a", "t", 1, 1, "a"), DraftUpdate("web:b", "u", 1, 1, "b ☃")]
    assert await stores.chats.draft(both) == [True, True]
    assert await stores.chats.draft([DraftUpdate("web:a", "t", 1, 2, "a a")]) == [True]
    assert await read_texts(stores, "web:a") == ["a a"]
    assert await read_texts(stores, "web:b") == ["b ☃"]


@pytest.mark.parametrize(("token", "revision"), [(4, 9), (5, 2), (5, 1)])
async def test_a_late_one_is_dropped_and_the_others_are_not(
    stores: Stores, token: int, revision: int
) -> None:
    await stores.chats.draft([DraftUpdate("web:a", "t", 5, 2, "newest")])
    late = DraftUpdate("web:a", "t", token, revision, "late")
    other = DraftUpdate("web:b", "u", 1, 1, "b")
    assert await stores.chats.draft([late, other]) == [False, True]
    assert await read_texts(stores, "web:a") == ["newest"]
    assert await read_texts(stores, "web:b") == ["b"]


async def test_a_worker_that_took_over_goes_before(stores: Stores) -> None:
    await stores.chats.draft([DraftUpdate("web:a", "t", 5, 7, "first")])
    assert await stores.chats.draft([DraftUpdate("web:a", "t", 6, 1, "anew")]) == [True]
    assert await read_texts(stores, "web:a") == ["anew"]

"""What a `NoteStore` must hold."""

from __future__ import annotations

import asyncio

from sigil.stores import Stores


async def test_a_note_is_kept_and_replaced(stores: Stores) -> None:
    assert await stores.notes.get("post", "thread") is None
    await stores.notes.put("post", "thread", "first", seconds=60)
    await stores.notes.put("post", "thread", "Größe", seconds=60)
    assert await stores.notes.get("post", "thread") == "Größe"


async def test_entries_do_not_share_their_notes(stores: Stores) -> None:
    await stores.notes.put("post", "x:y", "mine", seconds=60)
    assert await stores.notes.get("post:x", "y") is None
    assert await stores.notes.get("other", "x:y") is None


async def test_a_note_ends(stores: Stores) -> None:
    await stores.notes.put("post", "thread", "short", seconds=1)
    async with asyncio.timeout(20):
        while await stores.notes.get("post", "thread") is not None:
            await asyncio.sleep(0.05)

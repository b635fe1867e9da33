"""How long what a commit writes lives on."""

from __future__ import annotations

import pytest

from sigil.lanes.effects import Push, Show
from sigil.stores import Stores
from sigil.stores.redis.bounds import CHAT_TTL
from tests.contracts.lane_bench import CHAT, prefix, redis


@pytest.mark.parametrize(("left", "is_written"), [(CHAT_TTL - 60, True), (CHAT_TTL + 60, False)])
async def test_what_is_used_lives_on_for_as_long_as_is_promised(
    stores: Stores, left: int, is_written: bool
) -> None:
    """`left`: how long a key has yet to live at its next use. What is enough is not written."""
    client, keys = redis(stores), [prefix(stores) + name for name in ("chat:c", "chat-seen:c")]
    await stores.lanes.push(Push(CHAT, "1", {}), [Show("c", "e1", "{}")])
    fresh = [await client.ttl(key) for key in keys]
    assert all(CHAT_TTL < ttl <= 1.02 * CHAT_TTL for ttl in fresh)
    for key in keys:
        await client.expire(key, left)
    await stores.lanes.push(Push(CHAT, "2", {}), [Show("c", "e2", "{}")])
    for key, ttl in zip(keys, fresh, strict=True):
        now = await client.ttl(key)
        assert now >= CHAT_TTL
        assert (abs(now - ttl) < 5) is is_written

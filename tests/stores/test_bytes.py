"""What a message costs in memory, as a real server measures it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sigil.lanes.effects import Accept, Delivered, Effect, Finish, Outcome, Push, Receipt
from sigil.lanes.lane import LaneKind, Lease
from sigil.stores import Stores, connect
from sigil.stores.redis.bounds import DAY

pytestmark = pytest.mark.valkey

MESSAGES = 20
MOST_BYTES = 250


@pytest.fixture
async def short_names(valkey_url: str) -> AsyncIterator[Stores]:
    """Stores whose prefix is as long as the one in use: names of keys are part of the cost."""
    made = connect(valkey_url, prefix=f"{uuid.uuid4().hex[:5]}:")
    assert len(made.backend.keys.prefix) == len("sigil:")  # type: ignore[attr-defined]
    yield made
    await made.backend.close()


async def handle(stores: Stores, lane: str, *effects: Effect) -> None:
    """Takes the item at the head of a lane and commits its effects."""
    lease = await stores.lanes.take(lane, uuid.uuid4().hex, ttl=15, limit=1)
    assert isinstance(lease, Lease)
    await stores.lanes.commit(lane, lease.token, 1, [lease.items[0].id], effects)


async def send_and_answer(stores: Stores, number: int) -> None:
    lanes = stores.lanes
    chat = await lanes.key(LaneKind.INBOUND, "telegram", "1234567890")
    session = await lanes.key(LaneKind.SESSION, "any", "1234567890")
    target = await lanes.key(LaneKind.DELIVERY, "telegram", "1234567890")
    item_id, out_id = await lanes.item_id("in", str(number)), await lanes.item_id(str(number))
    await lanes.push(Push(chat, item_id, {"body": "x" * 500}), [Accept(item_id)])
    await handle(stores, chat, Push(session, item_id, {"route": "r" * 200}))
    reply = Push(target, out_id, {"body": "y" * 2000, "turn": item_id})
    await handle(stores, session, Finish(item_id, Outcome.ANSWERED), reply)
    receipt = '{"state": "sent", "tries": 1, "platform_id": "1234567890"}'
    await handle(stores, target, Receipt(out_id, 0, receipt), Delivered(out_id))


async def test_a_finished_message_costs_little_a_day_later(short_names: Stores) -> None:
    """In and out together, 25 hours after the end. What there is once a day (the ledger) or once
    an installation is no cost of a message."""
    for number in range(MESSAGES):
        await send_and_answer(short_names, number)
    redis: Any = short_names.backend.redis  # type: ignore[attr-defined]  # measured inside
    prefix = short_names.backend.keys.prefix  # type: ignore[attr-defined]
    cost = 0
    async for key in redis.scan_iter(match=f"{prefix}*"):
        ttl = await redis.ttl(key)
        if (ttl == -1 or ttl > DAY + 3600) and key.split(b":")[1] not in (b"ledger", b"secret"):
            cost += await redis.memory_usage(key)
    assert 0 < cost <= MESSAGES * MOST_BYTES

"""What a platform says later of a message that it took."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sigil.errors import EffectRejected
from sigil.lanes.effects import Delivered, Effect, Push, Receipt, ReportKey
from sigil.stores import Stores
from tests.contracts.lane_bench import TARGET, everything, prefix, redis, take, today

NAMED = ReportKey("family", "wamid.1", "1", 0)
SENT: tuple[Effect, ...] = (Receipt("1", 0, "{}"), NAMED, Delivered("1"))


async def send(stores: Stores, *effects: Effect) -> None:
    await stores.lanes.push(Push(TARGET, "1", {"body": "x"}))
    lease = await take(stores, TARGET)
    await stores.lanes.commit(TARGET, lease.token, 1, ["1"], effects or SENT)


async def report(stores: Stores, state: str, reason: str | None = None) -> tuple[str | None, bool]:
    return await stores.messages.report("family", "wamid.1", state, reason)


async def counts(stores: Stores) -> tuple[int, int, int]:
    day = await today(stores)
    return day["replies"], day.get("sent", 0), day.get("undelivered", 0)


async def test_a_late_failure_makes_the_message_undelivered_once(stores: Stores) -> None:
    await send(stores)
    assert await counts(stores) == (1, 1, 0)
    assert await report(stores, "failed", "the number is not on the platform") == ("1", True)
    assert await report(stores, "failed", "again") == ("1", False)
    assert await counts(stores) == (1, 0, 1)
    assert (await stores.lanes.verify(deep=True))["balanced"]
    record = await stores.messages.get("1")
    assert record is not None
    assert record["delivery"] == "undelivered"
    assert record["report:0"] == "failed the number is not on the platform"
    assert record["chunk:0"] == "{}"


async def test_the_highest_word_counts(stores: Stores) -> None:
    await send(stores)
    for state in ("read", "delivered", "failed"):
        assert await report(stores, state) == ("1", False)
    record = await stores.messages.get("1")
    assert record is not None
    assert (record["report:0"], record["delivery"]) == ("read", "sent")
    assert await counts(stores) == (1, 1, 0)


async def test_a_report_that_overtakes_the_receipt_is_taken_in(stores: Stores) -> None:
    assert await report(stores, "failed", "blocked") == (None, False)
    assert await report(stores, "delivered") == (None, False)
    await send(stores)
    assert await counts(stores) == (1, 0, 1)
    record = await stores.messages.get("1")
    assert record is not None
    assert (record["report:0"], record["delivery"]) == ("failed blocked", "undelivered")
    assert (await stores.lanes.verify(deep=True))["balanced"]
    assert await report(stores, "failed") == ("1", False)


async def test_a_chunk_that_bounced_spoils_the_message_that_is_still_sent(stores: Stores) -> None:
    await stores.lanes.push(Push(TARGET, "1", {"body": "x"}))
    lease = await take(stores, TARGET)
    await stores.lanes.commit(TARGET, lease.token, 1, [], SENT[:2], keep=True)
    assert await report(stores, "failed") == ("1", True)
    await stores.lanes.commit(TARGET, lease.token, 2, ["1"], [Delivered("1")])
    assert await counts(stores) == (1, 0, 1)


async def test_a_key_is_the_accounts_and_has_an_end(stores: Stores) -> None:
    await send(stores)
    assert await stores.messages.report("work", "wamid.1", "failed", None) == (None, False)
    assert await stores.messages.report("family", "other", "failed", None) == (None, False)
    assert await counts(stores) == (1, 1, 0)
    for name in await redis(stores).keys(f"{prefix(stores)}report:*"):
        assert 0 < await redis(stores).ttl(name) <= 24 * 3600


async def test_a_report_on_a_record_that_expired_brings_nothing_back(stores: Stores) -> None:
    await send(stores)
    await redis(stores).delete(f"{prefix(stores)}item:1")
    assert await report(stores, "failed") == (None, False)
    assert await stores.messages.get("1") is None


@pytest.mark.parametrize("name", ["report:family:wamid.1", "item:1", "ledger:{day}"])
async def test_a_key_of_another_type_changes_nothing(stores: Stores, name: str) -> None:
    await send(stores)
    key = prefix(stores) + name.format(day=f"{datetime.now(UTC):%Y-%m-%d}")
    await redis(stores).delete(key)
    await redis(stores).lpush(key, "x")
    before = await everything(stores)
    with pytest.raises(EffectRejected):
        await report(stores, "failed")
    assert await everything(stores) == before


async def test_a_commit_with_a_report_key_of_another_type_applies_nothing(stores: Stores) -> None:
    await stores.lanes.push(Push(TARGET, "1", {"body": "x"}))
    lease = await take(stores, TARGET)
    await redis(stores).lpush(f"{prefix(stores)}report:family:wamid.1", "x")
    before = await everything(stores)
    with pytest.raises(EffectRejected):
        await stores.lanes.commit(TARGET, lease.token, 1, ["1"], SENT)
    assert await everything(stores) == before

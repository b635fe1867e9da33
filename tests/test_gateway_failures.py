"""What the gateway does when a step, a store, a model or its own process fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigil.errors import ErrorKind, ProviderError, StoreError
from sigil.lanes.lane import Refusal
from sigil.messages.conversation import Usage
from sigil.providers.base import ChatEvent, EventType
from sigil.stores import Stores
from sigil.testing import (
    FakeProvider,
    MemoryChannel,
    ScriptedProvider,
    expire_leases,
    fake_stores,
    make_due,
    settle,
)
from sigil.web.ops.metrics import Metrics
from tests.talking import SlowProvider, another_worker, talk

ANN_BOTH = {"ann": {"identities": ["memory:ann", "other:ann"]}}


# ---------------------------------------------------------------- failing steps


class Failing:
    """Delegates, and raises for the calls that it is told to."""

    def __init__(self, target: Any, fails: Callable[[str], BaseException | None]) -> None:
        self._target, self._fails = target, fails

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            before = self._fails(f"before {name}")
            if before is not None:
                raise before
            answer = await method(*args, **kwargs)
            after = self._fails(f"after {name}")
            if after is not None:
                raise after
            return answer

        return call


def failing_stores(fails: Callable[[str], BaseException | None]) -> Stores:
    stores = fake_stores()
    names = ("users", "pairings", "sessions", "lanes", "budgets", "audit")
    return replace(stores, **{name: Failing(getattr(stores, name), fails) for name in names})


@settings(max_examples=40, deadline=None)
@given(nth=st.integers(0, 249), how_many=st.integers(1, 2))
def test_a_store_that_fails_at_any_call_loses_and_doubles_nothing(nth: int, how_many: int) -> None:
    """Each call is counted twice, before it is applied and after it: a lost answer."""
    calls = 0

    def fails(_: str) -> BaseException | None:
        nonlocal calls
        calls += 1
        return StoreError("gone") if nth <= calls - 1 < nth + how_many else None

    async def run() -> None:
        nonlocal calls
        t = talk(stores=failing_stores(fails), lanes={"max_strikes": 1})
        accepted = 0
        for text in ("one", "/usage", "two", "/stop", "three"):
            message = t.message(text)
            for _ in range(10):
                try:
                    await t.gateway.receive(message)
                    accepted += 1
                    break
                except StoreError:
                    pass
            for _ in range(6):
                try:
                    await settle(t.gateway)
                    break
                except StoreError:
                    await expire_leases(t.stores)
        calls = 10_000  # from here on nothing fails
        await expire_leases(t.stores)
        await settle(t.gateway)
        counts = await t.counts()
        assert counts["accepted"] == accepted == 5
        assert counts["answered"] == 5
        assert counts["sent"] == 5
        assert [text[:8] for text in t.texts] == ["ok", "**This c", "ok", "Nothing ", "ok"]

    asyncio.run(run())


async def test_a_step_that_fails_is_tried_again_and_then_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    t = talk()
    failures = 0

    async def load(key: str, epoch: int | None) -> Any:
        nonlocal failures
        failures += 1
        raise RuntimeError("a defect")

    await t.write("doomed")
    session = await t.routed()
    monkeypatch.setattr(t.stores.sessions, "load", load)
    await t.gateway.turn(session)
    held = await t.stores.lanes.take(session, "n", ttl=9, limit=9)
    assert held is Refusal.PARKED
    await settle(t.gateway)
    assert failures == 3
    (text,) = t.texts
    assert "given up" in text
    assert (await t.counts())["dead"] == 1
    (letter,) = await t.stores.messages.dead()
    assert letter["stage"] == "turn"
    record = await t.stores.messages.get(letter["id"])
    assert record is not None
    assert "doomed" in record["body"]


async def test_a_plug_in_that_exits_is_a_step_that_fails() -> None:
    """Else it would end one worker after the other, and the turns beside it."""

    class Exiting(ScriptedProvider):
        async def chat(self, request: Any) -> AsyncIterator[ChatEvent]:
            self.requests.append(request)
            raise SystemExit(3)
            yield

    t = talk(provider=(provider := Exiting("exiting", [])))
    await t.write("doomed")
    await settle(t.gateway)
    assert len(provider.requests) == 3
    assert "given up" in t.texts[0]


async def test_of_a_batch_only_the_message_that_fails_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stores = fake_stores()
    t = talk(stores=stores)
    find = stores.users.find_paired

    async def picky(channel: str, platform_id: str, entry: str) -> Any:
        if platform_id == "eve":
            raise RuntimeError("a defect")
        return await find(channel, platform_id, entry)

    monkeypatch.setattr(stores.users, "find_paired", picky)
    for sender in ("ann", "bob", "eve", "joe"):
        await t.write(f"from {sender}", sender, channel_id="one", is_direct=False)
    await settle(t.gateway)
    assert sorted(await t.asked()) == ["from ann", "from bob", "from joe"]
    counts = await t.counts()
    assert (counts["answered"], counts["dead"]) == (3, 1)


async def test_a_message_whose_channel_is_gone_does_not_block_its_session() -> None:
    t = talk(channels={"other": MemoryChannel("other")}, memory={}, users=ANN_BOTH)
    await t.gateway.receive(replace(t.message("lost"), channel_type="other", channel_id="x"))
    await t.write("found")
    session = await t.routed()
    later = another_worker(t)
    await settle(later.gateway)
    assert t.texts == ["ok"]
    assert (await t.counts())["dead"] == 1
    assert not (await t.stores.lanes.status(session)).waiting


async def test_a_record_that_nobody_can_read_does_not_block_its_lane() -> None:
    t = talk()
    first = await t.write("one")
    await t.write("two")
    session = await t.routed()
    client: Any = t.stores.backend
    await client.redis.hset(client.keys.item(first.id), "route", "{")
    await client.redis.hset(client.keys.item(first.id), "body", "not JSON")
    await settle(t.gateway)
    assert await t.asked() == ["two"]
    assert (await t.counts())["dead"] == 1
    assert not (await t.stores.lanes.status(session)).waiting


async def test_a_lost_lease_ends_the_turn_at_once_and_another_answers() -> None:
    slow = SlowProvider()
    t = talk(provider=slow, lanes={"renew": 0.01, "lease": 5})
    await t.write("hello")
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    await expire_leases(t.stores)
    taken = await t.stores.lanes.take(session, "thief", ttl=5, limit=9)
    assert not isinstance(taken, Refusal)
    await asyncio.wait_for(turn, 5)
    assert slow.closed == 1
    assert t.gateway.keeper.working == 0


async def test_who_lost_the_lease_can_write_nothing() -> None:
    slow, slower = SlowProvider("stale"), SlowProvider("fresh")
    t = talk(provider=slow, lanes={"renew": 60, "lease": 200})
    await t.write("hello")
    session = await t.routed()
    stale = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    await expire_leases(t.stores)
    t.provider = slower
    fresh = asyncio.create_task(another_worker(t).gateway.turn(session))
    await slower.speaking.wait()
    slow.release.set()
    await stale
    assert await t.counts() == {"accepted": 1}, "the fence kept it out"
    slower.release.set()
    await fresh
    await settle(t.gateway)
    assert t.texts == ["fresh and done"]
    assert await t.counts() == {"accepted": 1, "answered": 1, "sent": 1}


async def test_a_message_that_ends_five_workers_is_given_up() -> None:
    """Two of them make it suspect. Then it is held alone, and three strikes follow."""
    t = talk()
    await t.write("hello")
    session = await t.routed()
    for nonce in "abcde":
        taken = await t.stores.lanes.take(session, nonce, ttl=9, limit=9)
        assert not isinstance(taken, Refusal)
        await expire_leases(t.stores)
    await settle(t.gateway)
    assert t.provider.requests == []
    assert "given up" in t.texts[0]
    assert await t.counts() == {"accepted": 1, "dead": 1, "sent": 1}


async def test_the_messages_of_a_suspect_chat_are_routed_one_by_one() -> None:
    """One of them may end its worker, and the head is blamed."""
    commits: list[int] = []
    stores = fake_stores()

    class Watched(Failing):
        async def commit(
            self, lane: str, token: int, n: int, done: Any, *more: Any, **how: Any
        ) -> Any:
            commits.append(len(done))
            return await stores.lanes.commit(lane, token, n, done, *more, **how)

    t = talk(stores=replace(stores, lanes=Watched(stores.lanes, lambda _: None)))
    for losses in (0, 2):
        for text in "123":
            await t.write(text)
        for number in range(losses):
            await stores.lanes.take(t.woken.lanes[0], f"died-{number}", ttl=9, limit=9)
            await expire_leases(stores)
        await t.route_all()
    assert commits == [3, 1, 2], "after its head has moved the chat is no suspect any more"


# ---------------------------------------------------------------- going down


async def test_handing_back_lets_another_go_on_at_once_without_a_strike() -> None:
    slow = SlowProvider()
    t = talk(provider=slow)
    await t.write("hello")
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    assert t.gateway.keeper.working == 1
    t.woken.lanes.clear()
    await t.gateway.keeper.hand_back()
    assert (turn.cancelled(), t.gateway.keeper.working) == (True, 0)
    assert t.woken.lanes == [session]
    taken = await t.stores.lanes.take(session, "other", ttl=9, limit=9)
    assert not isinstance(taken, Refusal)
    assert taken.strikes == 0
    await t.gateway.turn(session)
    assert len(slow.requests) == 1, "who handed back takes nothing any more"


async def test_who_stops_taking_finishes_what_is_in_hand() -> None:
    slow = SlowProvider()
    t = talk(provider=slow)
    for text in ("one", "two"):
        await t.write(text)
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    t.gateway.keeper.stop_taking()
    slow.release.set()
    await turn
    assert await t.asked() == ["one"]
    assert (await t.stores.lanes.status(session)).waiting == 1
    await t.gateway.turn(session)
    assert await t.asked() == ["one"]


# ---------------------------------------------------------------- models that fail


def down(name: str) -> ScriptedProvider:
    return ScriptedProvider([ProviderError(f"{name} is down.")] * 9, name=name)


async def test_that_no_model_answers_is_said_in_a_short_honest_sentence() -> None:
    t = talk(provider=down("fake"), providers={"b": down("b")}, models={"failover": ["b/two"]})
    notice, text = await t.say("hello")
    assert notice.startswith("I cannot reach the model just now. I will try again in about ")
    assert "could not reach a model" in text
    assert len(text) < 120
    assert await t.counts() == {"accepted": 1, "failed": 1, "sent": 2}
    assert not await t.stores.messages.dead()
    *waits, entry = map(json.loads, await t.stores.audit.recent())
    assert [each["what"] for each in waits] == ["waits"] * 3
    assert (entry["what"], entry["why"]) == ("failed", "provider.all_unavailable")
    assert "fake is down" in entry["detail"]
    assert "0 answers" in (await t.say("/usage"))[0]
    metrics, _ = await Metrics(t.stores, t.woken).render()
    assert b'sigil_messages_total{outcome="failed"} 1.0' in metrics
    assert b"sigil_messages_waiting 0.0" in metrics


async def test_the_next_model_answers_from_the_start() -> None:
    half = [
        ChatEvent(EventType.TEXT_DELTA, text="half a "),
        ChatEvent(EventType.USAGE, usage=Usage(5, 2)),
    ]
    t = talk(
        provider=ScriptedProvider([half]),
        providers={"b": FakeProvider("b", reply="a whole answer")},
        models={"failover": ["b/two"]},
    )
    assert await t.say("hello") == ["a whole answer"]
    (entry,) = [entry for entry in await t.stores.audit.recent() if '"turn"' in entry]
    assert "fake/one" in entry
    assert "b/two" in entry


async def test_what_a_model_refuses_for_good_is_told_as_such() -> None:
    error = ProviderError("no.", kind=ErrorKind.CONTEXT_TOO_LONG)
    t = talk(provider=ScriptedProvider([ProviderError("no.", kind=ErrorKind.FILTERED), error]))
    (text,) = await t.say("hello")
    assert "filtered" in text


# ---------------------------------------------------------------- keys that are no records


@pytest.mark.parametrize("reached", ["inbound", "session", "delivery"])
async def test_a_message_whose_record_was_overwritten_is_buried_and_the_next_one_handled(
    reached: str,
) -> None:
    """A foreign tool, or a hand, wrote another type over the head's record."""
    t = talk()
    await t.write("one")
    await t.write("two")
    client: Any = t.stores.backend
    if reached != "inbound":
        session = await t.routed()
    if reached == "delivery":
        await make_due(t.stores)
        await t.gateway.turn(session)
    lanes = [lane.decode() for lane in await client.redis.zrange(client.keys.due(), 0, -1)]
    [lane] = [lane for lane in lanes if lane.startswith(reached)]
    head = (await client.redis.lindex(client.keys.lane_ids(lane), 0)).decode()
    await client.redis.delete(client.keys.item(head))
    await client.redis.set(client.keys.item(head), "foreign")
    await settle(t.gateway)
    assert t.texts[-1] == "ok"
    [letter] = await t.stores.messages.dead()
    assert letter["id"] == head
    assert letter["reason"]
    counts = await t.counts()
    assert (counts["accepted"], counts["answered"]) == (2, 2 if reached == "delivery" else 1)
    assert counts.get("dead", 0) + counts.get("undelivered", 0) == 1

"""What one wrong key, or a lane that nobody knows, must not do to all the others."""

from __future__ import annotations

import pytest

from sigil.lanes.effects import Accept, Push
from sigil.stores import Stores
from tests.contracts.lane_bench import CHAT, SESSION, TARGET, fill, prefix, redis, take, waiting


async def make_due(stores: Stores, *lanes: str) -> None:
    await redis(stores).zadd(f"{prefix(stores)}lanes:due", dict.fromkeys(lanes, 1))


async def due(stores: Stores) -> dict[str, float]:
    found = await redis(stores).zrange(f"{prefix(stores)}lanes:due", 0, -1, withscores=True)
    return {lane.decode(): at for lane, at in found}


@pytest.mark.parametrize("part", ["", ":ids"])
async def test_a_lane_with_a_wrong_key_leaves_the_others_alone_and_is_named(
    stores: Stores, part: str
) -> None:
    key = f"{prefix(stores)}lane:{CHAT}{part}"
    for lane, item_id in ((CHAT, "1"), (SESSION, "2")):
        await stores.lanes.push(Push(lane, item_id, {"body": "x"}), [Accept(item_id)])
    await stores.lanes.push(Push(TARGET, "3", {"body": "x"}))
    lease = await take(stores, CHAT)
    await stores.lanes.park(CHAT, lease.token, delay=0)
    await redis(stores).rename(key, "aside:" + key)
    await redis(stores).set(key, "not what it should be")
    await make_due(stores, CHAT, SESSION, TARGET)
    swept = await stores.lanes.sweep()
    assert set(swept.wake) == {SESSION, TARGET}
    assert swept.quarantined == {CHAT: f"{key} is of another type"}
    assert CHAT not in await due(stores)
    await make_due(stores, SESSION)
    assert (await stores.lanes.sweep()).quarantined == {}  # it was told once
    for deep in (False, True):
        problems = (await stores.lanes.verify(deep=deep))["problems"]
        assert problems[0] == (
            f"lane {CHAT} is in quarantine: {key} is of another type; rename that key, and the "
            "lane goes on within seconds"
        )
    # As it says there.
    await redis(stores).rename("aside:" + key, key)
    assert list(await stores.lanes.find_forgotten()) == [CHAT]
    assert (await stores.lanes.verify(deep=True))["problems"] == []
    assert (await stores.lanes.sweep()).wake == (CHAT,)
    assert (await take(stores, CHAT, "m")).items[0].id == "1"


async def test_a_lane_whose_wrong_key_was_deleted_is_told_no_more(stores: Stores) -> None:
    await redis(stores).set(f"{prefix(stores)}lane:{CHAT}", "x")
    await make_due(stores, CHAT)
    await stores.lanes.sweep()
    await redis(stores).delete(f"{prefix(stores)}lane:{CHAT}")
    assert list(await stores.lanes.find_forgotten()) == []
    assert (await stores.lanes.verify())["balanced"]


async def test_lanes_of_unknown_kinds_are_left_as_they_are(stores: Stores) -> None:
    await fill(stores, CHAT, "1")
    future = ["tool:any:x", "foreign"]
    await make_due(stores, CHAT, *future)
    swept = await stores.lanes.sweep()
    assert swept.wake == (CHAT,)
    assert swept.quarantined == {}
    assert swept.next_due == pytest.approx(1.5, abs=0.5)  # it does not turn in circles
    assert {lane: (await due(stores))[lane] for lane in future} == dict.fromkeys(future, 1)


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_lane_that_is_missing_from_the_index_is_named_and_found(
    stores: Stores, by_hand: bool
) -> None:
    for item_id in "12":
        await stores.lanes.push(Push(CHAT, item_id, {"body": "x"}), [Accept(item_id)])
    await fill(stores, SESSION, "3")
    assert list(await stores.lanes.find_forgotten()) == []
    await redis(stores).delete(f"{prefix(stores)}lanes:due")
    problems = sorted((await stores.lanes.verify())["problems"])
    assert f"lane {CHAT} has 2 items and is missing from the index of due lanes: " in problems[1]
    assert len(problems) == 3
    if by_hand:
        assert (await stores.lanes.verify(deep=True))["problems"][-1].endswith("put back now")
    else:
        assert set(await stores.lanes.find_forgotten()) == {CHAT, SESSION}
    assert (await stores.lanes.verify(deep=True))["balanced"]
    assert set((await stores.lanes.sweep()).wake) == {CHAT, SESSION}


async def test_an_item_that_is_pushed_again_while_it_waits_wakes_its_lane(stores: Stores) -> None:
    """Its first wake-up may be lost, with the answer to the push."""
    push = Push(CHAT, "1", {"body": "x"})
    assert (await stores.lanes.push(push)).wake == (CHAT,)
    again = await stores.lanes.push(push)
    assert (again.duplicate, again.wake) == (True, (CHAT,))
    lease = await take(stores, CHAT)
    assert (await stores.lanes.push(push)).wake == ()  # somebody has it
    await stores.lanes.commit(CHAT, lease.token, 1, ["1"], [Push(SESSION, "1", {})])
    again = await stores.lanes.push(push)
    assert (again.duplicate, again.wake) == (True, ())
    assert await waiting(stores, CHAT) == []


async def test_a_push_that_is_sent_twice_is_no_duplicate_of_itself(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that broke before the answer came makes the client send it again."""
    client = stores.backend
    run_script = client.run_script  # type: ignore[attr-defined]  # what only a look inside can show

    async def run_twice(name: str, keys: object = (), args: object = ()) -> object:
        if name == "push":
            await run_script(name, keys, args)
        return await run_script(name, keys, args)

    monkeypatch.setattr(client, "run_script", run_twice)
    push = Push(CHAT, "1", {"body": "x"})
    pushed = await stores.lanes.push(push, [Accept("1")])
    assert (pushed.duplicate, pushed.wake) == (False, (CHAT,))
    assert (await stores.lanes.push(push, [Accept("1")])).duplicate  # the platform says it again
    assert await waiting(stores, CHAT) == ["1"]
    (counts,) = (await stores.lanes.counts()).values()
    assert counts == {"accepted": 1, "duplicate": 2}

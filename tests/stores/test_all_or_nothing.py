"""No script is applied by half.

An error in a script undoes nothing. So each key is made wrong in each way, and each call of each
script is made to fail: then nothing has changed, or nothing is lost that was accepted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sigil.channels.account_leases import AccountRecord
from sigil.channels.live import DraftUpdate
from sigil.identity.users import Identity, User
from sigil.lanes import effects
from sigil.lanes.effects import (
    Accept,
    Admit,
    Audit,
    CountUsage,
    DeadLetter,
    Delivered,
    Finish,
    Journal,
    Limit,
    Notice,
    Outcome,
    Push,
    Receipt,
    ReportKey,
    Show,
    Stop,
    WriteSession,
)
from sigil.money.store import Limit as MoneyLimit
from sigil.providers.chain.health_store import KeyGrant
from sigil.stores import Stores
from sigil.testing import end_cooldowns
from tests.contracts.lane_bench import CHAT, SESSION, TARGET, TTL, fill, take
from tests.stores.script_faults import READS, Look, Stage, script_text, set_stage

ANN = Identity("m", "1")
ADMIT = Admit(ANN, User("u", "Ann", identities=(ANN,)), new=True)
LIMITS = [MoneyLimit("user", "u", 500, None), MoneyLimit("all", "", None, 3000)]
DRAFTS = [DraftUpdate("web:a", "t", 5, 2, "a"), DraftUpdate("web:b", "u", 5, 2, "b")]

Act = Callable[[], Awaitable[Any]]
Scene = Callable[[Stores], Awaitable[Act]]


async def receive(stores: Stores) -> Act:
    await fill(stores, CHAT, "0")
    return lambda: stores.lanes.push(
        Push(CHAT, "1", {"body": "x"}), [Accept("1"), Show("web:c", "e", "{}")]
    )


async def receive_over_the_rate(stores: Stores) -> Act:
    limit = Limit("ann", per_minute=60, burst=1, most_waiting=1)
    await stores.lanes.push(Push(CHAT, "0", {"body": "x"}, limit=limit), [Accept("0")])
    push = Push(CHAT, "1", {"body": "x"}, limit=limit)
    return lambda: stores.lanes.push(push, [Accept("1"), Show("web:c", "e", "{}")])


async def refuse_at_the_gate(stores: Stores) -> Act:
    limit = Limit("ann", per_minute=60, burst=1, most_waiting=0)
    await stores.lanes.push(Push(CHAT, "0", {"body": "x"}, limit=limit), [Accept("0")])
    push = Push(CHAT, "1", {"body": "x"}, limit=limit)
    return lambda: stores.lanes.push(push, [Accept("1"), Show("web:c", "e", "{}")])


async def take_what_is_not_due(stores: Stores) -> Act:
    limit = Limit("ann", per_minute=60, burst=1, most_waiting=1)
    for item_id in "01":
        await stores.lanes.push(Push(CHAT, item_id, {"body": "x"}, limit=limit), [Accept(item_id)])
    token = (await take(stores, CHAT)).token
    await stores.lanes.commit(CHAT, token, 1, ["0"], [Finish("0", Outcome.ANSWERED)])
    return lambda: stores.lanes.take(CHAT, "another", ttl=TTL, limit=10)


async def receive_again(stores: Stores) -> Act:
    await fill(stores, CHAT, "1")
    return lambda: stores.lanes.push(Push(CHAT, "1", {"body": "x"}), [Accept("1")])


async def rest(stores: Stores) -> Act:
    await fill(stores, CHAT, "1")
    push = Push(CHAT, "2", {"body": "x"}, quiet=1.2, quiet_max=5)
    return lambda: stores.lanes.push(push)


async def route(stores: Stores) -> Act:
    await stores.lanes.push(Push(CHAT, "1", {"body": "x"}), [Accept("1")])
    await stores.lanes.push(Push(CHAT, "2", {"body": "/stop"}), [Accept("2")])
    await fill(stores, SESSION, "0")
    token = (await take(stores, CHAT)).token
    unit = [ADMIT, Push(SESSION, "1", {"route": "{}"}), Stop(SESSION), Notice(SESSION, "c")]
    unit.append(Finish("2", Outcome.ANSWERED))
    return lambda: stores.lanes.commit(CHAT, token, 1, ["1", "2"], unit)


async def turn(stores: Stores) -> Act:
    for item_id in "123":
        push = Push(SESSION, item_id, {"body": "x"})
        await stores.lanes.push(push, [Accept(item_id)])
    token = (await take(stores, SESSION)).token
    await stores.lanes.commit(SESSION, token, 1, [], [Journal(SESSION, "{}")], keep=True)
    await stores.sessions.append("s", ["{}"], keep=9)
    unit = [
        Finish("1", Outcome.ANSWERED),
        WriteSession("s", "s#0", 1, ["{}"], 9, {"model": "m"}, {"turns": 1}),
        CountUsage("u", "w", {"turns": 1}),
        Audit("{}"),
        Show("web:c", "e", "{}"),
        Push(TARGET, "out", {"body": "y"}),
        Finish("2", Outcome.DEAD, keep_body=True),
        DeadLetter("2", effects.Stage.TURN, "why"),
    ]
    return lambda: stores.lanes.commit(SESSION, token, 2, ["1", "2"], unit)


async def deliver(stores: Stores) -> Act:
    for item_id in "12":
        await stores.lanes.push(Push(TARGET, item_id, {"body": "y"}))
    token = (await take(stores, TARGET)).token
    await stores.messages.report("a", "early", "failed", "blocked")
    named = [ReportKey("a", key, "1", 0) for key in ("early", "k")]
    unit = [Receipt("1", 0, "{}"), *named, Delivered("1"), Delivered("2", ok=False)]
    return lambda: stores.lanes.commit(TARGET, token, 1, ["1", "2"], unit)


async def bounce(stores: Stores) -> Act:
    await stores.lanes.push(Push(TARGET, "1", {"body": "y"}))
    token = (await take(stores, TARGET)).token
    unit = [Receipt("1", 0, "{}"), ReportKey("a", "k", "1", 0), Delivered("1")]
    await stores.lanes.commit(TARGET, token, 1, ["1"], unit)
    return lambda: stores.messages.report("a", "k", "failed", "blocked")


async def report_early(stores: Stores) -> Act:
    await stores.messages.report("a", "k", "delivered", None)
    return lambda: stores.messages.report("a", "k", "failed", "blocked")


async def park(stores: Stores) -> Act:
    await fill(stores, SESSION, "1")
    token = (await take(stores, SESSION)).token
    return lambda: stores.lanes.park(SESSION, token, delay=9, strike=True, begun=True)


async def renew(stores: Stores) -> Act:
    leases = []
    for lane in (CHAT, SESSION):
        await fill(stores, lane, lane)
        leases.append((lane, (await take(stores, lane)).token))
    return lambda: stores.lanes.renew_together(leases, ttl=TTL)


async def take_up(stores: Stores) -> Act:
    await fill(stores, SESSION, "1", "2")
    return lambda: stores.lanes.take(SESSION, "n", ttl=TTL, limit=10)


async def sweep(stores: Stores) -> Act:
    for lane in (CHAT, SESSION, TARGET):
        await fill(stores, lane, lane)
    client: Any = stores.backend
    await client.redis.zadd(client.keys.due(), dict.fromkeys((CHAT, SESSION, TARGET), 1))
    await client.redis.delete(client.keys.lane_ids(SESSION))
    return stores.lanes.sweep


async def find_forgotten(stores: Stores) -> Act:
    await fill(stores, CHAT, "1")
    client: Any = stores.backend
    await client.redis.zrem(client.keys.due(), CHAT)
    return stores.lanes.find_forgotten


async def reserve(stores: Stores) -> Act:
    await stores.budgets.reserve("0", LIMITS, 10, 10, ttl=60)
    return lambda: stores.budgets.reserve("1", LIMITS, 10, 10, ttl=60)


async def settle(stores: Stores) -> Act:
    await stores.budgets.reserve("1", LIMITS, 10, 10, ttl=60)
    return lambda: stores.budgets.settle("1", 5)


async def undo(stores: Stores) -> Act:
    return lambda: stores.budgets.settle("never made", 0)


async def expire(stores: Stores) -> Act:
    for number in "12":
        await stores.budgets.reserve(number, LIMITS, 10, 10, ttl=-1)
    return stores.budgets.expire_holds


async def draft(stores: Stores) -> Act:
    await stores.chats.draft([DraftUpdate("web:a", "t", 5, 1, "")])
    return lambda: stores.chats.draft(DRAFTS)


async def show(stores: Stores) -> Act:
    await stores.chats.draft([DraftUpdate("c", "t", 5, 2, "a")])
    event = {"type": "reply", "turn": "t", "message_id": "1", "text": "a", "final": True}
    return lambda: stores.chats.show("c", "e", event)  # type: ignore[arg-type]  # enough for it


async def admit(stores: Stores) -> Act:
    for key in "ab":
        await stores.health.record_failure(KeyGrant("p", "m", key), "server", [1.0])
    await end_cooldowns(stores)
    return lambda: stores.health.admit("p", "m", ["a", "b"], "s", "token")


async def cool(stores: Stores) -> Act:
    await stores.health.record_failure(KeyGrant("p", "m", "a"), "server", [1.0])
    return lambda: stores.health.record_failure(KeyGrant("p", "m", "b"), "server", [1.0])


async def report_probe(stores: Stores) -> Act:
    await stores.health.record_failure(KeyGrant("p", "m", "a"), "server", [1.0])
    await end_cooldowns(stores)
    grant = await stores.health.admit("p", "m", ["a"], None, "token")
    assert isinstance(grant, KeyGrant)
    return lambda: stores.health.renew(grant)


async def begin_episode(stores: Stores) -> Act:
    return lambda: stores.health.begin_episode("p", "a", "auth")


async def add_user(stores: Stores) -> Act:
    await stores.users.add(User("u", "Ann", identities=(ANN, Identity("n", "2"))))
    return lambda: stores.users.add(User("u", "Ann", identities=(ANN,)))


async def pair(stores: Stores) -> Act:
    await stores.pairings.add("m", "1", "v")
    return lambda: stores.pairings.add("m", "1", "u")


async def unpair(stores: Stores) -> Act:
    await stores.pairings.add("m", "1", "v")
    return lambda: stores.pairings.remove("m", "1")


async def append(stores: Stores) -> Act:
    await stores.sessions.append("s", ["{}"], keep=9)
    return lambda: stores.sessions.append("s", ["{}"], keep=9)


async def hold_account(stores: Stores) -> Act:
    await stores.accounts.hold(AccountRecord("a"), "t", ttl=TTL, takes=True)
    return lambda: stores.accounts.hold(AccountRecord("a"), "t", ttl=TTL, takes=False)


async def give_up_account(stores: Stores) -> Act:
    await stores.accounts.hold(AccountRecord("a"), "t", ttl=TTL, takes=True)
    return lambda: stores.accounts.give_up("a", "t")


async def save_cursor(stores: Stores) -> Act:
    await stores.accounts.hold(AccountRecord("a"), "t", ttl=TTL, takes=True)
    return lambda: stores.accounts.save_cursor("a", "t", "7")


async def save_last_message(stores: Stores) -> Act:
    await stores.accounts.hold(AccountRecord("a"), "t", ttl=TTL, takes=True)
    await stores.accounts.save_last_message("a", "t", "c", "1")
    return lambda: stores.accounts.save_last_message("a", "t", "c", "2")


SCENES = (
    *(receive, receive_again, rest, route, turn, deliver, park, renew, take_up, sweep),
    *(find_forgotten, reserve, settle, undo, expire, draft, show, admit, cool, report_probe),
    *(begin_episode, add_user, pair, unpair, append, bounce, report_early, hold_account),
    *(give_up_account, save_cursor, save_last_message),
    *(receive_over_the_rate, refuse_at_the_gate, take_what_is_not_due),
)
# What these do for one lane, item, hold or draft, they do without the others: one that is broken is
# left out, and the rest is done. A sender's limit that is broken holds up nobody.
ONE_BY_ONE = (
    *(sweep, find_forgotten, take_up, settle, expire, draft, receive_again),
    *(receive_over_the_rate, refuse_at_the_gate, take_what_is_not_due),
)


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)
    return await set_stage(stores, await request.param(stores))


on_each_scene = pytest.mark.parametrize("stage", SCENES, indirect=True, ids=lambda s: s.__name__)
on_valkey = pytest.mark.parametrize("stores", ["valkey"], indirect=True)  # fakeredis is too slow


@pytest.mark.valkey
@on_valkey
@on_each_scene
async def test_a_wrong_key_anywhere_changes_nothing(
    stage: Stage, request: pytest.FixtureRequest
) -> None:
    is_one_by_one = request.node.callspec.params["stage"] in ONE_BY_ONE
    assert await stage.run() is None
    begun, done, keys = stage.start, await stage.look(), stage.list_keys()
    halves = []
    for key in keys:
        for kind in ("string", "list", "hash", "set", "zset", "stream"):
            if kind == (begun.get(key) or done.get(key) or ("none",))[0]:
                continue
            if key.endswith(":new") and kind == "hash":  # of a record; a foreign field does no harm
                continue
            await stage.reset()
            await make_wrong(stage, key, kind)
            before = await stage.look()
            error = await stage.run()
            after = await stage.look()
            others = [without(look, key) for look in (before, done)]
            whole = after == before if error else is_one_by_one or without(after, key) in others
            if not whole:
                halves.append((key, kind, str(error), differ(before, after)))
    assert halves == []


@pytest.mark.valkey
@on_valkey
@on_each_scene
async def test_a_wrong_value_anywhere_changes_nothing(stage: Stage) -> None:
    assert await stage.run() is None
    done, keys, halves = await stage.look(), stage.list_keys(), []
    for key in keys:
        hashes = [
            each[1] for each in (stage.start.get(key), done.get(key)) if each and each[0] == "hash"
        ]
        for field in sorted({field for fields in hashes for field in fields}):
            for value in ("", "x", "1.5", "9" * 19):
                await stage.reset()
                await stage.redis.hset(stage.prefix + key, field, value)
                before = await stage.look()
                error = await stage.run()
                after = await stage.look()
                if error and after != before:
                    halves.append((key, field, value, str(error), differ(before, after)))
    assert halves == []


@pytest.mark.valkey
@on_valkey
@on_each_scene
async def test_a_call_that_fails_changes_nothing_or_loses_nothing(stage: Stage) -> None:
    """Errors that no check foresees. Up to the first write nothing has changed. After that, what is
    handled leaves its lane last; and once it is repeated, nothing is missing from any lane."""
    assert await stage.run() is None
    done, calls, wrong = await stage.look(), len(stage.calls), []
    waiting = lanes_of(stage.start)
    for number in range(1, calls + 1):
        await stage.reset()
        error = await stage.run(fails_at=number)
        after, failed = await stage.look(), stage.calls[number - 1]
        if error is None:
            continue
        if not any(map(is_write, stage.calls[: number - 1])):
            if after != stage.start:
                wrong.append((number, failed, differ(stage.start, after)))
            continue
        # If what was handled has left its lane, all that was made of it is there.
        if not holds(after, waiting) and no_lanes(after) != no_lanes(done):
            wrong.append((number, failed, differ(done, after)))
        await stage.run()
        again = await stage.look()
        is_kept = holds(again, waiting) and all(
            again.get(f"item:{item}") == stage.start[f"item:{item}"]
            for ids in waiting.values()
            for item in ids
        )
        if not is_kept and not holds(again, lanes_of(done)):
            wrong.append((number, failed, "something is lost", differ(done, again)))
    assert wrong == []


async def make_wrong(stage: Stage, key: str, kind: str) -> None:
    name = stage.prefix + key
    await stage.redis.delete(name)
    makers: dict[str, tuple[str, tuple[Any, ...]]] = {
        "string": ("set", ("x",)),
        "list": ("rpush", ("x",)),
        "hash": ("hset", ("x", "x")),
        "set": ("sadd", ("x",)),
        "zset": ("zadd", ({"x": 1},)),
        "stream": ("xadd", ({"x": "x"},)),
    }
    command, args = makers[kind]
    await getattr(stage.redis, command)(name, *args)


def without(look: Look, *keys: str) -> Look:
    return {key: value for key, value in look.items() if key not in keys}


def differ(before: Look, after: Look) -> dict[str, Any]:
    keys = sorted(before.keys() | after.keys())
    return {
        key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)
    }


def lanes_of(look: Look) -> dict[str, list[str]]:
    return {key: value for key, (_, value) in look.items() if key.endswith(":ids")}


def holds(look: Look, lanes: dict[str, list[str]]) -> bool:
    found = lanes_of(look)
    return all(set(ids) <= set(found.get(lane, ())) for lane, ids in lanes.items())


def no_lanes(look: Look) -> Look:
    return {key: value for key, value in look.items() if not key.startswith("lane")}


def is_write(call: list[Any]) -> bool:
    """Whether a call changes anything: scripts begin with writes that do not."""
    name, *args = call
    nothing = args[-1:] in ([""], ["0-1"]) or str(args[0]).endswith("nothing")
    return name not in READS and not nothing


# ---------------------------------------------------------------- a server without room

RECEIVES = (receive, receive_over_the_rate, refuse_at_the_gate, rest)
FINISHES = tuple(scene for scene in SCENES if scene not in (*RECEIVES, add_user, pair, append))


@pytest.mark.valkey
@on_valkey
@pytest.mark.parametrize("scene", FINISHES, ids=lambda scene: scene.__name__)
async def test_what_finishes_work_goes_on_when_redis_is_full(stores: Stores, scene: Scene) -> None:
    act = await scene(stores)
    client: Any = stores.backend
    await client.redis.config_set("maxmemory", 1)
    try:
        await act()
    finally:
        await client.redis.config_set("maxmemory", 0)

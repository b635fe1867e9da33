"""Commands do not wait behind a turn, and keep their place among the messages all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sigil.commands.table import COMMANDS
from sigil.lanes.effects import Push
from sigil.lanes.lane import LaneKind
from sigil.testing import FakeProvider, expire_leases, settle
from tests.talking import SlowProvider, Talk, talk


@asynccontextmanager
async def answering(t: Talk, slow: SlowProvider) -> AsyncIterator[None]:
    """The time in which a model speaks about all that was written so far."""
    turn = asyncio.create_task(t.gateway.turn(await t.routed()))
    await slow.speaking.wait()
    yield
    slow.release.set()
    await turn
    await settle(t.gateway)


async def say_now(t: Talk, text: str) -> str:
    """Writes, and returns what is answered before anybody runs a turn."""
    await t.write(text)
    await t.route_all()
    await t.gateway.deliver(t.woken.last(LaneKind.DELIVERY))
    return t.texts[-1]


def words(request: Any) -> list[str]:
    return [message.content.split()[-1] for message in request.messages]


async def test_each_command_is_answered_while_a_turn_runs() -> None:
    slow = SlowProvider()
    t = talk(provider=slow)
    await t.write("one")
    async with answering(t, slow):
        for count, name in enumerate(COMMANDS, start=1):
            assert await say_now(t, f"/{name}")
            assert len(t.texts) == count
    assert await t.counts() == {"accepted": 7, "answered": 7, "sent": 7}


async def test_new_keeps_its_place_among_the_messages() -> None:
    slow = SlowProvider()
    t = talk(provider=slow)
    for text in ("one", "two"):
        await t.write(text)
    async with answering(t, slow):
        assert "still answered in the old one" in await say_now(t, "/new")
        await t.write("three")
        await t.route_all()
    assert list(map(words, slow.requests)) == [["one"], ["one", "done", "two"], ["three"]]
    await t.say("four")
    assert words(slow.requests[-1]) == ["three", "done", "four"]
    (usage,) = await t.say("/usage")
    assert "2 in, 2 out" in usage, "only what was written after /new"
    assert "4 tokens in" in usage


async def test_after_new_messages_of_both_conversations_are_not_joined() -> None:
    t = talk(memory={"coalesce": True})
    for text in ("one", "/new", "two"):
        await t.write(text)
    await settle(t.gateway)
    assert await t.asked() == ["one", "two"]


async def test_a_model_that_is_chosen_during_a_turn_answers_the_next_one() -> None:
    slow, other = SlowProvider(), FakeProvider("other", reply="from other")
    t = talk(provider=slow, providers={"other": other}, models={"failover": ["other/x"]})
    await t.write("one")
    async with answering(t, slow):
        await say_now(t, "/model other/x")
        await t.write("two")
        await t.route_all()
    assert t.texts[1:] == ["so far and done", "from other"]
    assert [words(r) for r in other.requests] == [["one", "done", "two"]]


async def test_commands_that_were_written_at_once_see_each_other() -> None:
    other = FakeProvider("other")
    t = talk(providers={"other": other}, models={"failover": ["other/x"]})
    for text in ("/model other/x", "/new", "/new", "/model"):
        await t.write(text)
    await settle(t.gateway)
    assert "other/x" in t.texts[3]
    assert await t.counts() == {"accepted": 4, "answered": 4, "sent": 4}


async def test_a_command_is_decided_again_if_a_turn_ends_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    t = talk()
    await t.write("one")
    session = await t.routed()
    await t.write("/new")
    commit, turns = t.stores.lanes.commit, [t.gateway.turn(session)]

    async def commit_after_turn(lane: str, *args: Any, **more: Any) -> Any:
        if lane != session and turns:
            await turns.pop()
        return await commit(lane, *args, **more)

    monkeypatch.setattr(t.stores.lanes, "commit", commit_after_turn)
    await settle(t.gateway)
    assert not turns
    assert sorted(t.texts) == ["A fresh conversation. What is on your mind?", "ok"]
    await t.say("two")
    assert [len(request.messages) for request in t.provider.requests] == [1, 1]


@pytest.mark.parametrize("command", ["/help", "/new", "/model fake/one", "/stop"])
async def test_a_command_counts_once_however_its_worker_dies(command: str) -> None:
    """Killed before its commit, and killed after it before it knew."""
    t = talk()
    await t.write(command)
    commit = t.stores.lanes.commit

    class Killed(BaseException):
        pass

    def die(before: bool) -> Callable[..., Awaitable[Any]]:
        async def commit_and_die(*args: Any, **more: Any) -> Any:
            if not before:
                await commit(*args, **more)
            raise Killed

        return commit_and_die

    for before in (True, False):
        stores = replace(t.stores, lanes=_Lanes(t.stores.lanes, die(before)))
        with pytest.raises(Killed):
            await talk(stores=stores).gateway.route(t.woken.last(LaneKind.INBOUND))
        await expire_leases(t.stores)
    await settle(t.gateway)
    assert len(t.texts) == 1
    assert await t.counts() == {"accepted": 1, "answered": 1, "sent": 1}


class _Lanes:
    """Delegates, but for commits."""

    def __init__(self, lanes: Any, commit: Callable[..., Awaitable[Any]]) -> None:
        self._lanes, self.commit = lanes, commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lanes, name)


async def test_what_an_older_routing_worker_passed_on_is_run_in_its_turn() -> None:
    t = talk()
    await t.write("one")
    session = await t.routed()
    client: Any = t.stores.backend
    (first,) = await client.redis.lrange(client.keys.lane_ids(session), 0, -1)
    await client.redis.hdel(client.keys.item(first.decode()), "epoch")
    record = await t.stores.messages.get(first.decode())
    assert record is not None
    for text in ("two", "/new", "three"):
        fields = {"body": t.message(text).to_json(), "route": record["route"]}
        await t.stores.lanes.push(Push(session, text, fields))
    await settle(t.gateway)
    assert [len(request.messages) for request in t.provider.requests] == [1, 3, 1]
    assert "A fresh conversation. What is on your mind?" in t.texts

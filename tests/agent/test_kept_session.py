"""The session that a worker keeps in memory while it holds the lane is the stored one."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigil.agent.kept_session import KeptSession
from sigil.agent.loop import Agent
from sigil.directory import Directory
from sigil.errors import ProviderError
from sigil.lanes.effects import Push, WriteSession
from sigil.lanes.lane import Lease
from sigil.lanes.leases import Held
from sigil.messages.conversation import Message, encode_message
from sigil.providers.base import ChatEvent, ChatRequest, EventType
from sigil.sessions import Route, SessionRecord
from sigil.testing import FakeProvider, settle
from tests.talking import Talk, talk


class BusyProvider(FakeProvider):
    """Does, before it answers, what the last word of the question asks for."""

    def __init__(self) -> None:
        super().__init__("fake")
        self.deeds: dict[str, Callable[[], Awaitable[Any]]] = {}

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        deed = request.messages[-1].content.split()[-1]
        if deed == "fail":
            yield ChatEvent(EventType.ERROR, error=ProviderError("no."))
        if deed in self.deeds:
            yield ChatEvent(EventType.TEXT_DELTA, text="so far ")
            await self.deeds[deed]()
        async for event in super().chat(request):
            yield event


async def find_key(t: Talk) -> str:
    """The key of the session that has work."""
    client: Any = t.stores.backend
    (first, *_) = await client.redis.lrange(client.keys.lane_ids(await t.routed()), 0, 0)
    record = await t.stores.messages.get(first.decode())
    assert record is not None
    return Route.from_json(record["route"]).session_key


async def write_session(t: Talk, write: WriteSession) -> None:
    """Writes a session from another lane than its own."""
    lane, item_id = "inbound:memory:elsewhere", uuid.uuid4().hex
    await t.stores.lanes.push(Push(lane, item_id, {}))
    lease = await t.stores.lanes.take(lane, item_id, ttl=9, limit=1)
    assert isinstance(lease, Lease)
    await t.stores.lanes.commit(lane, lease.token, 1, [item_id], [write])


def busy_talk(**more: Any) -> tuple[Talk, BusyProvider]:
    """A person, and others who write the session while its model speaks."""
    provider = BusyProvider()
    t = talk(provider=provider, lanes={"renew": 0.01, "cap": 99}, **more)

    async def append() -> None:
        message = encode_message(Message("user", "from elsewhere"))
        await t.stores.sessions.append(await find_key(t), [message], keep=9)

    async def begin() -> None:  # /new, out of another chat
        session = await t.stores.sessions.load(await find_key(t))
        fields = {"epoch": str(session.epoch + 1), "input_tokens": "0", "output_tokens": "0"}
        write = WriteSession(session.key, session.id, session.version, fields=fields)
        await write_session(t, write)

    async def write_stop() -> None:
        await t.write("/stop")
        await t.route_all()

    async def stop() -> None:
        # In a task of its own: the stop ends this one, and redis-py may swallow a cancellation.
        writing = asyncio.create_task(write_stop())
        try:
            await asyncio.Event().wait()
        finally:
            await writing

    provider.deeds = {"append": append, "begin": begin, "stop": stop}
    return t, provider


def watch_turns(t: Talk, patch: pytest.MonkeyPatch) -> list[tuple[SessionRecord, SessionRecord]]:
    """Notes after each turn what its worker keeps, and what is stored."""
    handle, pairs = Agent.handle, []

    async def handle_and_note(self: Agent, held: Held, directory: Directory) -> None:
        await handle(self, held, directory)
        if isinstance(held.memo, KeptSession):
            kept = held.memo.record
            past = tuple(map(encode_message, held.memo.read_past()))
            stored = await t.stores.sessions.load(kept.key, kept.epoch)
            # That /new has come is noticed by the next commit at the latest.
            stored = replace(stored, is_over=kept.is_over)
            pairs.append((replace(kept, messages=past), stored))

    patch.setattr(Agent, "handle", handle_and_note)
    return pairs


STEPS = ("hi", "append", "begin", "stop", "fail", "/new", "/model fake/two", "/usage", "/stop")


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.sampled_from(STEPS), min_size=2, max_size=12),
    most_tokens=st.sampled_from([12, None]),
)
def test_what_is_kept_is_what_is_stored(steps: list[str], most_tokens: int | None) -> None:
    async def run() -> None:
        t, _ = busy_talk(agent={"window": 3}, budgets={"max_session_tokens": most_tokens})
        with pytest.MonkeyPatch.context() as patch:
            pairs = watch_turns(t, patch)
            for number, text in enumerate(steps):
                await t.write(text if text.startswith("/") else f"{number} {text}")
            await settle(t.gateway)
        assert [kept for kept, _ in pairs] == [stored for _, stored in pairs]
        counts = await t.counts()
        ends = [counts.get(end, 0) for end in ("answered", "failed", "stopped", "refused")]
        assert counts["accepted"] == sum(ends)

    asyncio.run(run())


async def test_a_hold_loads_its_session_once(monkeypatch: pytest.MonkeyPatch) -> None:
    t, provider = busy_talk()
    load, loads = t.stores.sessions.load, []

    async def count(key: str, epoch: int | None = None) -> Any:
        loads.append(key)
        return await load(key, epoch)

    monkeypatch.setattr(t.stores.sessions, "load", count)
    for text in ("one", "two", "three"):
        await t.write(text)
    await settle(t.gateway)
    assert [len(request.messages) for request in provider.requests] == [1, 3, 5]
    assert len(loads) == 1


async def test_an_answer_is_kept_where_somebody_wrote_meanwhile_and_not_asked_for_again() -> None:
    t, provider = busy_talk()
    for text in ("one append", "two"):
        await t.write(text)
    await settle(t.gateway)
    assert t.texts == ["so far ok", "ok"]
    assert len(provider.requests) == 2
    past = [message.content.split()[-1] for message in provider.requests[-1].messages]
    assert past == ["elsewhere", "append", "ok", "two"]


async def test_an_answer_does_not_follow_into_a_session_that_began_meanwhile() -> None:
    t, provider = busy_talk()
    for text in ("one begin", "two"):
        await t.say(text)
    assert t.texts == ["so far ok", "ok"]
    assert [len(request.messages) for request in provider.requests] == [1, 1]
    (usage,) = await t.say("/usage")
    assert "1 in, 1 out" in usage, "the fresh session has used nothing of the first answer"
    assert "2 tokens in, 2 out, 2 answers" in usage


async def test_what_waited_when_a_session_began_is_answered_in_the_one_before() -> None:
    t, provider = busy_talk()
    for text in ("one begin", "two"):
        await t.write(text)
    await settle(t.gateway)
    await t.say("three")
    assert [len(request.messages) for request in provider.requests] == [1, 3, 1]
    past = [message.content.split()[-1] for message in provider.requests[1].messages]
    assert past == ["begin", "ok", "two"]
    assert "1 in, 1 out" in (await t.say("/usage"))[0]

"""What a running turn shows meanwhile in a live chat."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from sigil.channels.base import ChannelSpec
from sigil.channels.live import DraftUpdate
from sigil.errors import StoreError
from sigil.outbound.presence import Draft, DraftWriter
from sigil.stores import Stores
from sigil.testing import FakeProvider, expire_leases, settle
from tests.talking import SlowProvider, Talk, another_worker, talk

LIVE = ChannelSpec(live=True)


async def read_log(stores: Stores, chat: str = "memory:ann") -> list[dict[str, Any]]:
    return [dict(event.data) for event in await stores.chats.read(chat)]


async def read_drafts(t: Talk) -> list[str]:
    return [event["text"] for event in await read_log(t.stores) if event["type"] == "draft"]


async def wait_for_draft(t: Talk, text: str) -> None:
    while await read_drafts(t) != [text]:
        await asyncio.sleep(0.005)


async def test_people_see_their_words_and_the_answer_as_it_grows() -> None:
    slow = SlowProvider()
    t = talk(provider=slow, spec=LIVE)
    await t.write("hello")
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await wait_for_draft(t, "so far")
    user, draft = await read_log(t.stores)
    assert (user["type"], draft["type"]) == ("user", "draft")
    assert draft["answers"] == [user["message_id"]]
    slow.release.set()
    await turn


async def test_a_channel_that_is_not_live_has_no_log() -> None:
    t = talk()
    await t.say("hello")
    assert await read_log(t.stores) == []


async def test_a_worker_that_was_replaced_draws_no_more() -> None:
    slow = SlowProvider()
    t = talk(provider=slow, spec=LIVE, lanes={"renew": 60, "lease": 200})
    await t.write("hello")
    session = await t.routed()
    stale = asyncio.create_task(t.gateway.turn(session))
    await wait_for_draft(t, "so far")
    await expire_leases(t.stores)
    fresh_slow = SlowProvider(words="anew")
    t.provider = fresh_slow
    later = another_worker(t)
    fresh = asyncio.create_task(later.gateway.turn(session))
    await wait_for_draft(t, "anew")
    slow.release.set()
    await stale
    assert await read_drafts(t) == ["anew"]
    fresh_slow.release.set()
    await fresh


async def test_a_restart_replaces_the_draft(stores: Stores) -> None:
    draft = Draft(DraftWriter(stores.chats), "web:c", "t", 5)
    draft.add("half an answer")
    await wait_for_text(stores, "half an answer")
    draft.restart(("a/b",))
    await wait_for_text(stores, "")
    draft.add("anew")
    await wait_for_text(stores, "anew")
    draft.close()
    (event,) = await read_log(stores, "web:c")
    assert event["broke_off"] == ["a/b"]


async def wait_for_text(stores: Stores, text: str) -> None:
    while [event["text"] for event in await read_log(stores, "web:c")] != [text]:
        await asyncio.sleep(0.005)


async def test_many_deltas_are_few_writes(stores: Stores) -> None:
    draft = Draft(DraftWriter(stores.chats), "web:c", "t", 5)
    for number in range(500):
        draft.add(f"{number} ")
        await asyncio.sleep(0)
    await wait_for_text(stores, draft.text)
    (event,) = await read_log(stores, "web:c")
    assert event["revision"] < 20
    draft.close()


async def test_the_reply_ends_the_draft_for_good(stores: Stores) -> None:
    chats = stores.chats
    assert await chats.draft([DraftUpdate("web:c", "t", 1, 1, "half")]) == [True]
    reply = {"type": "reply", "text": "whole", "turn": "t", "chunk": 0, "final": True}
    await chats.show("web:c", "id.0", reply)
    await chats.show("web:c", "id.0", reply)
    assert await chats.draft([DraftUpdate("web:c", "t", 2, 1, "late")]) == [False]
    assert await read_log(stores, "web:c") == [reply]


async def test_a_store_that_fails_costs_the_draft_and_not_the_turn() -> None:
    class Away:
        calls = 0

        async def draft(self, drafts: Sequence[DraftUpdate]) -> list[bool]:
            Away.calls += 1
            raise StoreError("away")

    draft = Draft(DraftWriter(Away()), "web:c", "t", 1)  # type: ignore[arg-type]  # drafts need no more
    draft.add("words")
    while not Away.calls:
        await asyncio.sleep(0)
    draft.close()
    assert draft.text == "words"


async def test_a_draft_of_half_a_character_does_not_break_the_turn() -> None:
    t = talk(provider=FakeProvider("fake", reply="\ud83d"), spec=LIVE)
    assert await t.say("hello") == ["\ufffd"]


async def test_what_grows_meanwhile_goes_together_and_what_is_closed_does_not_go() -> None:
    class Slow:
        written: ClassVar[list[list[str]]] = []
        release = asyncio.Event()

        async def draft(self, drafts: Sequence[DraftUpdate]) -> list[bool]:
            self.written.append([draft.text for draft in drafts])
            await self.release.wait()
            return [True for _ in drafts]

    writer = DraftWriter(Slow())  # type: ignore[arg-type]  # drafts need no more
    first, second, third, closed = (Draft(writer, "web:c", f"t{n}", 1) for n in range(4))
    first.add("a")
    await asyncio.sleep(0)
    for draft in (second, third, closed):
        draft.add("b")
        draft.add("c")
    closed.close()
    Slow.release.set()
    while len(Slow.written) < 2:
        await asyncio.sleep(0)
    assert Slow.written == [["a"], ["bc", "bc"]]


async def test_the_log_of_a_conversation_reads_in_order() -> None:
    t = talk(provider=FakeProvider("fake", reply="ok"), spec=LIVE)
    await t.write("one")
    await settle(t.gateway)
    await t.write("two")
    assert [e["text"] for e in await read_log(t.stores) if e["type"] == "user"] == ["one", "two"]

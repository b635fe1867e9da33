"""What platforms show of a running turn, and that its answer takes the place of that."""

from __future__ import annotations

import asyncio
from typing import Any

from sigil.channels.base import ChannelSpec, Pace, Place, Rendered
from sigil.errors import SendFailed, SendRefused
from sigil.lanes.lane import LaneKind
from sigil.outbound.showing import Presences
from sigil.testing import expire_leases, make_due, settle
from tests.outbound.faces import FakeSender
from tests.talking import SlowProvider, Talk, another_worker, talk

EDITS = ChannelSpec(drafts="edit", group_drafts="edit", typing_seconds=5)
CALLS = ChannelSpec(drafts="call", typing_seconds=5)


def slow_talk(spec: ChannelSpec, words: str = "so far", **more: Any) -> tuple[Talk, FakeSender]:
    sender = FakeSender(spec)
    t = talk(channels={"memory": sender}, provider=SlowProvider(words), **more)
    t.channel = sender
    return t, sender


async def show(t: Talk) -> None:
    """What an outbound process does once a second, when a second has passed."""
    client: Any = t.stores.backend
    for turn in await client.redis.zrange(client.keys.presences(), 0, -1):
        await client.redis.zadd(client.keys.presences(), {turn: 0})
    await Presences(t.gateway.channels, t.stores.presences, t.stores.paces).show_due()


async def begin_turn(t: Talk, **more: Any) -> asyncio.Task[None]:
    await t.write("hello", **more)
    turn = asyncio.create_task(t.gateway.turn(await t.routed()))
    await t.provider.speaking.wait()
    return turn


async def wait_for_text(t: Talk, text: str) -> None:
    """Until the agent worker has written this draft."""
    client: Any = t.stores.backend
    for _ in range(500):
        for turn in await client.redis.zrange(client.keys.presences(), 0, -1):
            if (
                await client.redis.hget(client.keys.presence(turn.decode()), "text")
                == text.encode()
            ):
                return
        await asyncio.sleep(0.01)
    raise AssertionError("the draft was not written")


async def finish(t: Talk, turn: asyncio.Task[None]) -> None:
    t.provider.release.set()
    await turn
    await settle(t.gateway)


async def test_the_answer_takes_the_place_of_the_draft() -> None:
    t, sender = slow_talk(EDITS)
    turn = await begin_turn(t)
    await wait_for_text(t, "so far")
    for _ in range(2):
        await show(t)
    assert [(text, shown) for _, text, shown in sender.drafts] == [("so far", None)]
    await finish(t, turn)
    assert sender.edits == [("draft-1", "so far and done")]
    assert sender.texts == []
    for _ in range(2):
        await show(t)
    assert len(sender.drafts) == 1


async def test_typing_is_shown_from_the_beginning_and_only_when_it_is_over() -> None:
    t, sender = slow_talk(EDITS, words="")
    turn = await begin_turn(t)
    await wait_for_text(t, "")
    for _ in range(3):
        await show(t)
    assert sender.typing == [Place("ann", None, is_direct=True)]
    await finish(t, turn)
    assert sender.texts == ["and done"]


async def test_a_channel_that_shows_nothing_costs_nothing() -> None:
    t, sender = slow_talk(ChannelSpec())
    turn = await begin_turn(t)
    await finish(t, turn)
    client: Any = t.stores.backend
    assert not await client.redis.keys(client.keys.presence("*"))
    await Presences(t.gateway.channels, t.stores.presences, t.stores.paces).keep_showing()
    assert (sender.drafts, sender.typing) == ([], [])


async def test_a_draft_by_a_call_is_no_message() -> None:
    t, sender = slow_talk(CALLS)
    turn = await begin_turn(t)
    await wait_for_text(t, "so far")
    original = sender.show_draft

    async def call(place: Place, draft_id: str, text: Rendered, shown: str | None) -> str | None:
        await original(place, draft_id, text, shown)
        return None

    sender.show_draft = call  # type: ignore[method-assign]
    for _ in range(2):
        await show(t)
    await finish(t, turn)
    assert [shown for _, _, shown in sender.drafts] == [None]
    assert (sender.texts, sender.edits) == (["so far and done"], [])


async def test_the_answer_waits_for_a_draft_that_is_on_its_way() -> None:
    t, sender = slow_talk(EDITS)
    turn = await begin_turn(t)
    await wait_for_text(t, "so far")
    original, arrived, goes_on = sender.show_draft, asyncio.Event(), asyncio.Event()

    async def hang(*args: Any) -> str | None:
        arrived.set()
        await goes_on.wait()
        return await original(*args)

    sender.show_draft = hang  # type: ignore[method-assign]
    showing = asyncio.create_task(show(t))
    await arrived.wait()
    t.provider.release.set()
    await turn
    lane = t.woken.last(LaneKind.DELIVERY)
    await t.gateway.deliver(lane)
    assert (sender.texts, sender.edits) == ([], [])
    goes_on.set()
    await showing
    await make_due(t.stores)
    await t.gateway.deliver(lane)
    assert (sender.texts, sender.edits) == ([], [("draft-1", "so far and done")])


async def test_a_clock_that_stepped_back_does_not_hold_up_the_answer() -> None:
    t, sender = slow_talk(EDITS)
    turn = await begin_turn(t)
    await wait_for_text(t, "so far")
    client: Any = t.stores.backend
    (name,) = await client.redis.zrange(client.keys.presences(), 0, -1)
    in_an_hour = 1000 * int((await client.read_time()).timestamp() + 3600)
    await client.redis.hset(client.keys.presence(name.decode()), "busy_until", in_an_hour)
    await finish(t, turn)
    assert sender.texts == ["so far and done"]


async def test_a_worker_that_takes_over_goes_on_in_the_same_message() -> None:
    t, sender = slow_talk(EDITS, lanes={"renew": 60, "lease": 200})
    stale = await begin_turn(t)
    await wait_for_text(t, "so far")
    await show(t)
    await expire_leases(t.stores)
    first, t.provider = t.provider, SlowProvider("anew")
    later = another_worker(t)
    fresh = asyncio.create_task(later.gateway.turn(await t.routed()))
    await wait_for_text(t, "anew")
    await show(t)
    assert [(text, shown) for _, text, shown in sender.drafts] == [
        ("so far", None),
        ("anew", "draft-1"),
    ]
    first.release.set()
    await stale
    await finish(later, fresh)
    assert sender.edits == [("draft-1", "anew and done")]
    assert sender.texts == []


async def test_a_long_answer_replaces_the_draft_by_its_first_part() -> None:
    words = "\n\n".join(f"part {n} " + "word " * 30 for n in range(4))
    t, sender = slow_talk(ChannelSpec(text_limit=300, drafts="edit"), words=words)
    turn = await begin_turn(t)
    await wait_for_text(t, words)
    await show(t)
    await finish(t, turn)
    ((_, first),) = sender.edits
    assert first.startswith("part 0")
    assert [chunk.index for chunk in sender.chunks] == list(range(1, len(sender.chunks) + 1))


async def test_a_draft_that_somebody_deleted_is_replaced_by_a_message() -> None:
    t, sender = slow_talk(EDITS)
    turn = await begin_turn(t)
    await wait_for_text(t, "so far")
    await show(t)
    sender.refuses_edits = SendRefused("message to edit not found")
    await finish(t, turn)
    assert sender.texts == ["so far and done"]


async def test_a_platform_that_fails_costs_the_draft_and_not_the_answer() -> None:
    t, sender = slow_talk(EDITS)
    turn = await begin_turn(t)
    await wait_for_text(t, "so far")
    calls = 0

    async def fail(*args: Any) -> str | None:
        nonlocal calls
        calls += 1
        raise SendFailed("cut", outcome_unknown=True)

    sender.show_draft = fail  # type: ignore[method-assign]
    for _ in range(3):
        await show(t)
    assert calls == 1, "it was perhaps sent, and a second one would stay as well"
    await finish(t, turn)
    assert sender.texts == ["so far and done"]


async def test_a_stop_replaces_the_draft_with_what_was_said() -> None:
    t, sender = slow_talk(EDITS)
    turn = await begin_turn(t)
    await wait_for_text(t, "so far")
    await show(t)
    await t.write("/stop")
    await t.route_all_once()
    await t.gateway.keeper.look(await t.routed())
    await turn
    await settle(t.gateway)
    assert sender.edits == [("draft-1", "so far\n\n_Stopped._")]


async def test_drafts_by_edits_keep_the_pace_of_the_chat() -> None:
    spec = ChannelSpec(drafts="edit", group_drafts="edit", pace=Pace(chat=30))
    t, sender = slow_talk(spec)
    turn = await begin_turn(t)
    await wait_for_text(t, "so far")
    await t.stores.paces.take_turn("memory", "ann", chat_s=30, account_s=0)
    await show(t)
    assert sender.drafts == []
    await finish(t, turn)
    assert sender.texts == ["so far and done"]

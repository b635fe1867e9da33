"""Delivery: chunks, receipts, retries, and chunks of which nobody knows whether they arrived."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from typing import Any

import pytest

from sigil.channels.base import ChannelSpec, Chunk, MediaRules
from sigil.channels.memory import MemoryChannel
from sigil.errors import SendFailed, SendRefused
from sigil.lanes.effects import Receipt
from sigil.lanes.lane import LaneKind, Refusal
from sigil.messages.exchange import Action, Attachment, OutboundMessage
from sigil.outbound import sending
from sigil.testing import expire_leases, make_due, settle
from tests.talking import Talk, another_worker, talk

LONG = "\n\n".join(f"paragraph {i} " + "word " * 30 for i in range(4))


async def notify(t: Talk, *texts: str) -> str:
    """Puts messages on Ann's lane; returns the lane's key."""
    for text in texts:
        await t.gateway.notify(OutboundMessage("memory", "ann", text))
    return t.woken.last(LaneKind.DELIVERY)


async def receipts(t: Talk, item_id: str) -> list[dict[str, Any]]:
    record = await t.stores.messages.get(item_id)
    assert record is not None
    chunks = sorted(name for name in record if name.startswith("chunk:"))
    return [json.loads(record[name]) for name in chunks]


def small(**more: Any) -> Talk:
    return talk(spec=ChannelSpec(text_limit=200, **more))


class Dying(MemoryChannel):
    """Takes the chunk, and then its process dies: no answer ever comes."""

    def __init__(self, name: str, at: int, spec: ChannelSpec) -> None:
        super().__init__(name, spec=spec)
        self.at, self.died = at, asyncio.Event()

    async def send(self, chunk: Chunk) -> str | None:
        taken = await super().send(chunk)
        if len(self.chunks) == self.at:
            self.died.set()
            await asyncio.Event().wait()
        return taken


async def crash_while_sending(t: Talk, lane: str) -> None:
    """A worker that is killed while the platform has the chunk."""
    assert isinstance(t.channel, Dying)
    worker = asyncio.create_task(t.gateway.deliver(lane))
    await t.channel.died.wait()
    await expire_leases(t.stores)
    # Its lease is another's now, so that its end writes nothing.
    taken = await t.stores.lanes.take(lane, uuid.uuid4().hex, ttl=9, limit=1)
    assert not isinstance(taken, Refusal)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await expire_leases(t.stores)


def make_crashing_talk(at: int, *, idempotent: bool = False, **settings: Any) -> Talk:
    spec = ChannelSpec(text_limit=200, idempotent_send=idempotent)
    channel = Dying("memory", at, spec)
    t = talk(channels={"memory": channel}, **settings)
    t.channel = channel
    return t


# ---------------------------------------------------------------- chunks


async def test_a_long_message_goes_out_in_chunks_with_a_receipt_each() -> None:
    t = small()
    item_id = await t.gateway.notify(OutboundMessage("memory", "ann", LONG))
    await settle(t.gateway)
    assert len(t.channel.chunks) > 2
    assert " ".join(" ".join(t.texts).split()) == " ".join(LONG.split())
    assert [chunk.id for chunk in t.channel.chunks] == [
        f"{item_id}.{i}" for i in range(len(t.channel.chunks))
    ]
    assert [chunk.final for chunk in t.channel.chunks].count(True) == 1
    assert t.channel.chunks[-1].final
    kept = await receipts(t, item_id)
    assert [receipt["state"] for receipt in kept] == ["sent"] * len(t.channel.chunks)
    assert kept[0]["platform_id"] == "1"


async def test_files_and_buttons_go_out_once_with_the_last_words() -> None:
    t = small(buttons=True, media=MediaRules(outgoing=frozenset({"file"})))
    media = (Attachment("https://example.org/a.png"),)
    actions = (Action("Go on.", "More"),)
    await t.gateway.notify(
        OutboundMessage("memory", "ann", LONG, media=media, actions=actions, answers=("m1",))
    )
    await t.gateway.notify(OutboundMessage("memory", "ann", "", media=media))
    await settle(t.gateway)
    with_files = [i for i, sent in enumerate(t.channel.sent) if sent.media]
    assert with_files == [len(t.texts) - 2, len(t.texts) - 1]
    assert [i for i, sent in enumerate(t.channel.sent) if sent.actions] == [len(t.texts) - 2]
    assert all(sent.answers for sent in t.channel.sent[:-1])


async def test_replies_go_to_where_the_words_came_from() -> None:
    t = talk(accounts=["work"])
    await t.say("hi", channel_id="room", thread_id="7", account="work")
    (sent,) = t.channel.sent
    assert (sent.channel_id, sent.thread_id, sent.account) == ("room", "7", "work")


# ---------------------------------------------------------------- retries


async def test_a_pause_that_the_platform_asks_for_is_kept_and_so_is_the_order() -> None:
    t = talk()
    lane = await notify(t, "one", "two")
    t.channel.fail_next(SendFailed("slow down", retry_after=30))
    await t.gateway.deliver(lane)
    assert t.texts == []
    due = await t.gateway.recover()
    assert due is not None
    assert 29 < due <= 30
    assert await t.stores.lanes.take(lane, "n", ttl=9, limit=9) is Refusal.PARKED
    await settle(t.gateway)
    assert t.texts == ["one", "two"]


@pytest.mark.parametrize("asked", [3600 * 24 * 365, math.inf, math.nan, -1])
async def test_a_platform_cannot_ask_for_a_pause_beyond_a_day(asked: float) -> None:
    t = talk()
    lane = await notify(t, "one")
    t.channel.fail_next(SendFailed("slow down", retry_after=asked))
    await t.gateway.deliver(lane)
    due = await t.gateway.recover()
    assert due is not None
    assert due <= 2 if asked < 0 else 86_390 < due <= 86_400


async def test_a_retry_goes_on_where_it_failed() -> None:
    t = small()
    await notify(t, LONG)
    lane = t.woken.last(LaneKind.DELIVERY)
    original = t.channel.send

    async def second_fails(chunk: Chunk) -> str | None:
        if chunk.index == 1:
            t.channel.send = original  # type: ignore[method-assign]  # once
            raise SendFailed("hiccup")
        return await original(chunk)

    t.channel.send = second_fails  # type: ignore[method-assign]
    await t.gateway.deliver(lane)
    assert len(t.channel.chunks) == 1
    await settle(t.gateway)
    assert [chunk.index for chunk in t.channel.chunks] == list(range(len(t.channel.chunks)))


async def test_after_five_tries_it_is_a_dead_letter_and_the_next_one_goes() -> None:
    t = talk()
    await notify(t, "doomed", "fine")
    t.channel.fail_next(SendFailed("no"), times=5)
    await settle(t.gateway)
    assert t.texts == ["fine"]
    (letter,) = await t.stores.messages.dead()
    assert (letter["stage"], letter["reason"]) == ("deliver", "no")
    assert (await receipts(t, letter["id"]))[0]["tries"] == 5
    record = await t.stores.messages.get(letter["id"])
    assert record is not None
    assert "doomed" in record["body"]
    assert await t.counts() == {"sent": 1, "undelivered": 1}


async def test_pauses_grow_between_tries() -> None:
    t = talk()
    lane = await notify(t, "one")
    t.channel.fail_next(SendFailed("no"), times=3)
    pauses = []
    for _ in range(3):
        await t.gateway.deliver(lane)
        pauses.append(await t.gateway.recover())
        await make_due(t.stores)
    assert pauses == [pytest.approx(p, abs=0.3) for p in (1, 2, 4)]


async def test_what_is_refused_is_dead_at_once() -> None:
    t = talk()
    lane = await notify(t, "to nobody", "fine")
    t.channel.fail_next(SendRefused("the chat is gone"))
    await t.gateway.deliver(lane)
    assert t.texts == ["fine"]
    (letter,) = await t.stores.messages.dead()
    assert letter["reason"] == "the chat is gone"


async def test_a_channel_that_is_gone_is_a_dead_letter() -> None:
    other = MemoryChannel("other")
    t = talk(channels={"other": other})
    await t.gateway.notify(OutboundMessage("other", "ann", "lost"))
    later = another_worker(t)
    await settle(later.gateway)
    (letter,) = await t.stores.messages.dead()
    assert "other" in letter["reason"]


async def test_a_sender_with_a_defect_is_given_up_after_its_strikes() -> None:
    t = talk()
    await notify(t, "doomed", "fine")
    t.channel.fail_next(KeyError("a defect"), times=3)  # type: ignore[arg-type]  # that is the point
    await settle(t.gateway)
    assert t.texts == ["fine"]
    assert len(await t.stores.messages.dead()) == 1


async def test_a_send_that_hangs_does_not_hold_up_its_destination(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "LONGEST_SEND_S", 0.02)
    t = make_crashing_talk(at=1)
    await notify(t, "one")
    await settle(t.gateway)
    assert t.texts == ["one", "one"], "its fate was unknown, so it was sent again"


# ---------------------------------------------------------------- what it costs


async def scripts_of(t: Talk, lane: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scripts that one delivery of `lane` runs."""
    client: Any = t.stores.backend
    run, ran = client.run_script, []

    async def count(name: str, *args: Any, **kwargs: Any) -> Any:
        ran.append(name)
        return await run(name, *args, **kwargs)

    monkeypatch.setattr(client, "run_script", count)
    await t.gateway.deliver(lane)
    return ran


@pytest.mark.parametrize("messages", [1, 10])
async def test_a_message_costs_one_commit(messages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    t = talk()
    lane = await notify(t, *map(str, range(messages)))
    assert await scripts_of(t, lane, monkeypatch) == ["take", *["commit"] * messages]
    assert len(t.texts) == messages


async def test_a_further_chunk_and_a_platform_that_holds_cost_a_mark_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    t = small()
    lane = await notify(t, LONG)
    ran = await scripts_of(t, lane, monkeypatch)
    assert ran == ["take", *["commit"] * len(t.channel.chunks)]
    t = talk(memory={"on_unknown": "hold"})
    lane = await notify(t, "one")
    assert await scripts_of(t, lane, monkeypatch) == ["take", "commit", "commit"]


# ---------------------------------------------------------------- unknown


@pytest.mark.parametrize("wish", ["resend", "hold"])
async def test_who_dies_before_sending_holds_nothing_back(wish: str) -> None:
    t = talk(memory={"on_unknown": wish})
    lane = await notify(t, "one")
    await t.stores.lanes.take(lane, "killed", ttl=9, limit=1)
    await expire_leases(t.stores)
    await settle(t.gateway)
    assert t.texts == ["one"]
    assert not await t.stores.messages.dead()


@pytest.mark.parametrize(("wish", "sent"), [("resend", ["one", "one"]), ("hold", ["one"])])
async def test_who_hands_back_in_mid_send_leaves_it_unknown(wish: str, sent: list[str]) -> None:
    t = make_crashing_talk(at=1, memory={"on_unknown": wish})
    assert isinstance(t.channel, Dying)
    lane = await notify(t, "one")
    worker = asyncio.create_task(t.gateway.deliver(lane))
    await t.channel.died.wait()
    await t.gateway.keeper.hand_back()
    await asyncio.gather(worker, return_exceptions=True)
    later = another_worker(t)
    await settle(later.gateway)
    assert t.texts == sent
    assert len(await t.stores.messages.dead()) == (wish == "hold")


@pytest.mark.parametrize(
    ("commit_number", "applied"), [(1, True), (2, False), (3, True)], ids=["mark", "retry", "again"]
)
async def test_who_hands_back_between_sends_holds_nothing_back(
    monkeypatch: pytest.MonkeyPatch, commit_number: int, applied: bool
) -> None:
    t = talk(memory={"on_unknown": "hold"})
    t.channel.fail_next(SendFailed("busy", retry_after=0))
    lane = await notify(t, "one")
    commit, silent, commits = t.stores.lanes.commit, asyncio.Event(), 0

    async def fall_silent(*args: Any, **kwargs: Any) -> Any:
        nonlocal commits
        commits += 1
        falls_silent = commits == commit_number
        answer = await commit(*args, **kwargs) if applied or not falls_silent else None
        if falls_silent:
            silent.set()
            await asyncio.Event().wait()
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(t.stores.lanes, "commit", fall_silent)
        if commit_number > 2:
            await t.gateway.deliver(lane)
            await make_due(t.stores)
        worker = asyncio.create_task(t.gateway.deliver(lane))
        await silent.wait()
        await t.gateway.keeper.hand_back()
        await asyncio.gather(worker, return_exceptions=True)
    later = another_worker(t)
    await settle(later.gateway)
    assert t.texts == ["one"]
    assert not await t.stores.messages.dead()


async def test_a_message_that_kills_its_senders_counts_its_tries() -> None:
    t = make_crashing_talk(at=1, lanes={"max_strikes": 9})
    lane = await notify(t, "one")
    item_id = (await t.stores.lanes.take(lane, "look", ttl=9, limit=1)).items[0].id  # type: ignore[union-attr]  # granted
    await expire_leases(t.stores)
    for deaths in (1, 2):
        assert isinstance(t.channel, Dying)
        t.channel.at = deaths
        t.channel.died.clear()
        await crash_while_sending(t, lane)
    (receipt,) = await receipts(t, item_id)
    assert receipt == {"state": "sending", "tries": 3, "in_lane": True, "doubtful": True}


@pytest.mark.parametrize(("wish", "sent"), [("resend", ["one"]), ("hold", [])])
async def test_a_mark_that_an_older_version_wrote_is_understood(wish: str, sent: list[str]) -> None:
    t = talk(memory={"on_unknown": wish})
    lane = await notify(t, "one")
    lease = await t.stores.lanes.take(lane, "old", ttl=9, limit=1)
    assert not isinstance(lease, Refusal)
    mark = Receipt(lease.items[0].id, 0, json.dumps({"state": "sending", "tries": 1}))
    await t.stores.lanes.commit(lane, lease.token, 1, [], [mark], keep=True)
    await expire_leases(t.stores)
    client: Any = t.stores.backend
    await client.redis.hdel(client.keys.lane(lane), "begun", "again")
    await settle(t.gateway)
    assert t.texts == sent
    assert len(await t.stores.messages.dead()) == (wish == "hold")


async def test_an_unknown_chunk_is_sent_again_under_its_own_id() -> None:
    t = make_crashing_talk(at=2)
    lane = await notify(t, LONG)
    await crash_while_sending(t, lane)
    await settle(t.gateway)
    indexes = [chunk.index for chunk in t.channel.chunks]
    assert indexes == [0, 1, 1, *range(2, max(indexes) + 1)]
    assert t.channel.chunks[1].id == t.channel.chunks[2].id


async def test_an_unknown_chunk_is_held_where_that_is_wished() -> None:
    t = make_crashing_talk(at=1, memory={"on_unknown": "hold"})
    lane = await notify(t, "one", "two")
    await crash_while_sending(t, lane)
    await settle(t.gateway)
    assert t.texts == ["one", "two"]
    (letter,) = await t.stores.messages.dead()
    assert "unknown" in letter["reason"]


async def test_where_the_platform_knows_the_id_it_is_always_sent_again() -> None:
    t = make_crashing_talk(at=1, idempotent=True, memory={"on_unknown": "hold"})
    lane = await notify(t, "one")
    await crash_while_sending(t, lane)
    await settle(t.gateway)
    assert t.texts == ["one", "one"]
    assert len({chunk.id for chunk in t.channel.chunks}) == 1
    assert not await t.stores.messages.dead()


@pytest.mark.parametrize(("wish", "sent"), [("resend", ["one", "one"]), ("hold", ["one"])])
async def test_a_lost_answer_is_unknown_too(wish: str, sent: list[str]) -> None:
    t = talk(memory={"on_unknown": wish})
    t.channel.fail_next(SendFailed("cut off", outcome_unknown=True), taken=True)
    await notify(t, "one")
    await settle(t.gateway)
    assert t.texts == sent
    assert len(await t.stores.messages.dead()) == (wish == "hold")


async def test_nothing_is_sent_once_the_lease_is_gone() -> None:
    t = small()
    lane = await notify(t, LONG)
    original = t.channel.send

    async def lose_it(chunk: Chunk) -> str | None:
        await expire_leases(t.stores)
        await t.stores.lanes.take(lane, "other", ttl=60, limit=1)
        return await original(chunk)

    t.channel.send = lose_it  # type: ignore[method-assign]
    await t.gateway.deliver(lane)
    assert [chunk.index for chunk in t.channel.chunks] == [0]

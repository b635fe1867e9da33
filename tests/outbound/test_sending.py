"""What becomes of a chunk: each answer that a platform can give, and each that it cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sigil.channels.base import ChannelSpec, Chunk, MediaRules
from sigil.errors import (
    AccountRefused,
    ChatMoved,
    MarkupRefused,
    SendFailed,
    SendRefused,
)
from sigil.lanes.lane import LaneKind, Refusal
from sigil.messages.exchange import Action, Attachment, OutboundMessage
from sigil.testing import end_rests, expire_leases, make_due, settle
from tests.outbound.faces import FakeSender, SearchableSender, fake
from tests.talking import Talk, another_worker, talk

LONG = "\n\n".join(f"paragraph {i} " + "word " * 30 for i in range(4))


def talk_through(sender: FakeSender, **settings: Any) -> Talk:
    t = talk(channels={"memory": sender}, **settings)
    t.channel = sender
    return t


async def notify(t: Talk, *texts: str, **more: Any) -> tuple[str, list[str]]:
    """Puts messages on Ann's lane; returns the lane's key and their ids."""
    ids = [await t.gateway.notify(OutboundMessage("memory", "ann", text, **more)) for text in texts]
    return t.woken.last(LaneKind.DELIVERY), ids


async def receipt(t: Talk, item_id: str, index: int = 0) -> dict[str, Any]:
    record = await t.stores.messages.get(item_id)
    assert record is not None
    return dict(json.loads(record[f"chunk:{index}"]))


async def dead(t: Talk) -> list[str]:
    return [letter["reason"] for letter in await t.stores.messages.dead()]


# ---------------------------------------------------------------- markup


async def test_refused_markup_goes_out_as_plain_text_at_once_under_the_same_id() -> None:
    t = talk()
    _, (item_id,) = await notify(t, "*hello*", reply_to="m1")
    t.channel.fail_next(MarkupRefused("can't parse entities"))
    await settle(t.gateway)
    (chunk,) = t.channel.chunks
    assert (chunk.id, chunk.message.reply_to) == (f"{item_id}.0", None)
    assert await receipt(t, item_id) == {
        "state": "sent",
        "tries": 2,
        "platform_id": "1",
        "simpler": 1,
    }


async def test_files_stay_when_the_markup_is_refused_and_are_links_when_they_are() -> None:
    spec = ChannelSpec(media=MediaRules(outgoing=frozenset({"file"})))
    file = Attachment("https://example.org/a.pdf", "a.pdf")
    t = talk(spec=spec)
    t.channel.fail_next(MarkupRefused("no"))
    await notify(t, "see", media=(file,))
    await settle(t.gateway)
    t.channel.fail_next(MarkupRefused("no"), times=2)
    await notify(t, "see", media=(file,))
    await settle(t.gateway)
    with_file, with_link = t.channel.chunks
    assert with_file.message.media == (file,)
    assert with_link.message.media == ()
    assert with_link.text == "see\na.pdf: https://example.org/a.pdf"


async def test_plain_text_that_is_refused_too_is_a_dead_letter() -> None:
    t = talk()
    await notify(t, "*hello*", "fine")
    t.channel.fail_next(MarkupRefused("never"), times=2)
    await settle(t.gateway)
    assert t.texts == ["fine"]
    assert await dead(t) == ["never"]


async def test_who_dies_between_the_two_forms_sends_the_plain_one_again() -> None:
    t = talk(spec=ChannelSpec(idempotent_send=True))
    lane, (item_id,) = await notify(t, "*hello*", reply_to="m1")
    original, calls = t.channel.send, []

    async def refuse_and_cut(chunk: Chunk) -> str | None:
        calls.append(chunk)
        if len(calls) == 1:
            raise MarkupRefused("no")
        if len(calls) == 2:
            raise SystemExit
        return await original(chunk)

    t.channel.send = refuse_and_cut  # type: ignore[method-assign]
    await t.gateway.deliver(lane)
    await settle(t.gateway)
    assert [chunk.message.reply_to for chunk in calls] == ["m1", None, None]
    assert {chunk.id for chunk in calls} == {f"{item_id}.0"}


# ---------------------------------------------------------------- unknown


async def test_what_is_found_by_looking_it_up_is_not_sent_again() -> None:
    sender = SearchableSender()
    t = talk_through(sender, memory={"on_unknown": "hold"})
    sender.fail_next(SendFailed("cut", outcome_unknown=True), taken=True)
    _, (item_id,) = await notify(t, "one")
    await settle(t.gateway)
    assert sender.texts == ["one"]
    kept = await receipt(t, item_id)
    assert (kept["state"], kept["platform_id"]) == ("sent", "1")
    assert "doubtful" not in kept


async def test_what_was_certainly_not_sent_is_sent_and_not_doubtful() -> None:
    sender = SearchableSender()
    t = talk_through(sender)
    sender.fail_next(SendFailed("cut", outcome_unknown=True))
    _, (item_id,) = await notify(t, "one")
    await settle(t.gateway)
    assert (sender.texts, sender.looked_up) == (["one"], [f"{item_id}.0"])
    assert "doubtful" not in await receipt(t, item_id)


async def test_a_look_up_that_fails_is_made_again_before_anything_is_sent() -> None:
    sender = SearchableSender()
    t = talk_through(sender)
    sender.fail_next(SendFailed("cut", outcome_unknown=True), taken=True)
    sender.lookup_fails = [SendFailed("away"), SendFailed("later", retry_after=3)]
    await notify(t, "one")
    await settle(t.gateway)
    assert (sender.texts, len(sender.looked_up)) == (["one"], 3)


async def test_a_message_that_can_never_be_looked_up_is_not_sent_twice() -> None:
    sender = SearchableSender()
    t = talk_through(sender)
    sender.fail_next(SendFailed("cut", outcome_unknown=True), taken=True)
    sender.lookup_fails = [SendFailed("away")] * 9
    await notify(t, "one")
    await settle(t.gateway)
    assert sender.texts == ["one"]
    assert "cannot be looked up" in (await dead(t))[0]


async def test_a_double_is_marked_where_the_platform_has_no_key() -> None:
    t = talk()
    t.channel.fail_next(SendFailed("cut", outcome_unknown=True), taken=True)
    _, (item_id,) = await notify(t, "one")
    await settle(t.gateway)
    assert t.texts == ["one", "one"]
    assert (await receipt(t, item_id))["doubtful"] is True


async def test_the_same_key_again_is_no_double() -> None:
    t = talk(spec=ChannelSpec(idempotent_send=True))
    t.channel.fail_next(SendFailed("cut", outcome_unknown=True), taken=True)
    _, (item_id,) = await notify(t, "one")
    await settle(t.gateway)
    assert len({chunk.id for chunk in t.channel.chunks}) == 1
    assert "doubtful" not in await receipt(t, item_id)


# ---------------------------------------------------------------- pauses and rests


async def test_pauses_that_the_platform_asks_for_are_no_attempts() -> None:
    t = talk()
    t.channel.fail_next(SendFailed("slow down", retry_after=2), times=12)
    _, (item_id,) = await notify(t, "one")
    await settle(t.gateway)
    assert t.texts == ["one"]
    assert (await receipt(t, item_id))["tries"] == 1


async def due(t: Talk) -> float:
    seconds = await t.gateway.recover()
    assert seconds is not None
    return seconds


async def test_a_limit_of_the_account_rests_all_its_chats_in_every_worker() -> None:
    t = talk()
    t.channel.fail_next(SendFailed("flood", retry_after=30, rests_account=True))
    lane, _ = await notify(t, "one")
    other = await t.gateway.notify(OutboundMessage("memory", "bob", "two"))
    lane_of_bob = t.woken.last(LaneKind.DELIVERY)
    await t.gateway.deliver(lane)
    await another_worker(t).gateway.deliver(lane_of_bob)
    assert t.texts == []
    for each in (lane, lane_of_bob):
        assert await t.stores.lanes.take(each, "n", ttl=9, limit=9) is Refusal.PARKED
    assert 29 < await due(t) <= 31
    record = await t.stores.messages.get(other)
    assert record is not None
    assert "chunk:0" not in record, "it was no attempt"


async def end_rest(t: Talk) -> None:
    await end_rests(t.stores)
    await make_due(t.stores)


async def test_an_account_that_is_refused_loses_nothing_and_wakes_when_it_is_mended() -> None:
    t = talk()
    lane, _ = await notify(t, "one", "two")
    t.channel.fail_next(AccountRefused("the token is wrong.", hint="Set a new one."), times=7)
    pauses = []
    for _ in range(7):
        await t.gateway.deliver(lane)
        rest = await t.stores.account_rests.find("memory")
        assert rest is not None
        assert (rest.kind, rest.why) == ("refused", "the token is wrong. Set a new one.")
        pauses.append(round(rest.seconds))
        await end_rest(t)
    assert pauses == [60, 120, 240, 480, 600, 600, 600]
    await t.gateway.deliver(lane)
    assert t.texts == ["one", "two"]
    assert await t.stores.account_rests.find("memory") is None
    assert not await dead(t)


async def test_several_that_fail_at_once_begin_one_rest() -> None:
    rests = talk().stores.account_rests
    first = await rests.begin("a", "away", "unreachable")
    assert await rests.begin("a", "away", "unreachable") == pytest.approx(first, abs=0.5)
    assert await rests.begin("a", "limited", "flood", seconds=100) == 100
    assert [(each.entry, each.kind) for each in await rests.list(["b", "a"])] == [("a", "limited")]


async def test_a_rest_that_comes_between_chunks_sends_none_twice() -> None:
    t = talk(spec=ChannelSpec(text_limit=200))
    original = t.channel.send

    async def second_is_limited(chunk: Chunk) -> str | None:
        if chunk.index == 1:
            t.channel.send = original  # type: ignore[method-assign]  # once
            raise SendFailed("flood", retry_after=5, rests_account=True)
        return await original(chunk)

    t.channel.send = second_is_limited  # type: ignore[method-assign]
    lane, (item_id,) = await notify(t, LONG)
    await t.gateway.deliver(lane)
    await end_rest(t)
    await settle(t.gateway)
    assert [chunk.index for chunk in t.channel.chunks] == list(range(len(t.channel.chunks)))
    assert (await receipt(t, item_id, 1))["tries"] == 1


# ---------------------------------------------------------------- closed and moved chats


async def test_a_closed_chat_takes_the_rest_of_its_lane_with_it() -> None:
    t = talk()
    await notify(t, "one", "two", "three")
    t.channel.fail_next(SendRefused("the bot was blocked", closes_chat=True))
    await settle(t.gateway)
    assert t.texts == []
    assert await dead(t) == ["the bot was blocked"] * 3
    assert (await t.counts())["undelivered"] == 3


async def test_what_waits_for_a_chat_that_moved_goes_to_the_new_one_in_order() -> None:
    t = talk(workspaces={"lab": {"bindings": [{"channel": "memory", "channel_id": "ann"}]}})
    old_lane, ids = await notify(t, "one", "two", "three", reply_to="m1")
    t.channel.fail_next(ChatMoved("it is a supergroup now", "-100ann"))
    await settle(t.gateway)
    assert [(sent.channel_id, sent.content) for sent in t.channel.sent] == [
        ("-100ann", "one"),
        ("-100ann", "two"),
        ("-100ann", "three"),
    ]
    assert all(sent.reply_to is None for sent in t.channel.sent)
    assert [chunk.id for chunk in t.channel.chunks] == [f"{each}.0" for each in ids]
    assert (await t.stores.lanes.status(old_lane)).waiting == 0
    # What is sent to the old id later goes to the new one without asking the platform.
    later = another_worker(t)
    await later.gateway.notify(OutboundMessage("memory", "ann", "four"))
    await settle(later.gateway)
    assert (t.channel.sent[-1].channel_id, t.channel.sent[-1].content) == ("-100ann", "four")
    overlay = await t.stores.directory.load()
    assert overlay.bindings == {("memory", "-100ann"): "lab"}
    assert await t.counts() == {"sent": 4}


async def test_a_chat_that_moves_in_the_middle_of_a_message_sends_each_part_once() -> None:
    t = talk(spec=ChannelSpec(text_limit=200))
    original = t.channel.send

    async def second_moves(chunk: Chunk) -> str | None:
        if chunk.index == 1 and chunk.message.channel_id == "ann":
            raise ChatMoved("moved", "new")
        return await original(chunk)

    t.channel.send = second_moves  # type: ignore[method-assign]
    await notify(t, LONG)
    await settle(t.gateway)
    assert [chunk.index for chunk in t.channel.chunks] == list(range(len(t.channel.chunks)))
    assert not await dead(t)


async def test_chats_that_move_in_a_circle_are_given_up() -> None:
    t = talk()
    original = t.channel.send

    async def move(chunk: Chunk) -> str | None:
        if chunk.message.channel_id in {"ann", "bob"}:
            raise ChatMoved("moved", "bob" if chunk.message.channel_id == "ann" else "ann")
        return await original(chunk)

    t.channel.send = move  # type: ignore[method-assign]
    await notify(t, "one")
    await settle(t.gateway)
    assert len(await dead(t)) == 1


# ---------------------------------------------------------------- files, buttons, replies, edits


async def test_files_that_the_platform_does_not_take_are_named() -> None:
    rules = MediaRules(outgoing=frozenset({"image"}), largest_out=1000)
    t = talk(spec=ChannelSpec(media=rules))
    small = Attachment("blob:1", "a.png", size=10, kind="image")
    large = Attachment("https://example.org/b.png", "b_.png", size=9000, kind="image")
    voice = Attachment("blob:2", "c.ogg", size=9000, kind="voice")
    await notify(t, "look", media=(small, large, voice))
    await settle(t.gateway)
    (sent,) = t.channel.sent
    assert sent.media == (small,)
    assert sent.content == (
        "look\n\n- [b\\_.png](<https://example.org/b.png>)"
        "\n- (voice: c.ogg, 9 kB; it cannot be sent here)"
    )


async def test_buttons_are_words_to_type_where_the_platform_has_none() -> None:
    actions = (Action("/approve 7", "Approve"), Action("/deny 7", "Deny"))
    t = talk()
    await notify(t, "May I?", actions=actions)
    await settle(t.gateway)
    assert t.texts == ["May I?\n\n- Approve: `/approve 7`\n- Deny: `/deny 7`"]
    t = talk(spec=ChannelSpec(buttons=True))
    await notify(t, "May I?", actions=actions)
    await settle(t.gateway)
    assert (t.texts, t.channel.sent[0].actions) == (["May I?"], actions)


async def test_an_answer_in_a_group_refers_to_what_it_answers() -> None:
    t = talk()
    await t.say("hi", channel_id="room", is_direct=False, message_id="m7", thread_id="9")
    await t.say("hi", message_id="m8")
    in_group, direct = t.channel.sent
    assert (in_group.reply_to, in_group.thread_id) == ("m7", "9")
    assert direct.reply_to is None


async def test_only_the_first_part_refers_to_the_message() -> None:
    t = talk(spec=ChannelSpec(text_limit=200))
    await notify(t, LONG, reply_to="m1")
    await settle(t.gateway)
    assert [sent.reply_to for sent in t.channel.sent] == ["m1", *[None] * (len(t.texts) - 1)]


async def test_a_message_can_take_the_place_of_an_earlier_one() -> None:
    sender = FakeSender(ChannelSpec(buttons=True))
    t = talk_through(sender)
    _, (first,) = await notify(t, "May I?", actions=(Action("/approve 7", "Approve"),))
    await notify(t, "May I? Approved.", edits=first)
    await settle(t.gateway)
    assert (sender.texts, sender.edits) == (["May I?"], [("1", "May I? Approved.")])


@pytest.mark.parametrize("earlier", [True, False])
async def test_what_cannot_be_edited_is_sent(earlier: bool) -> None:
    sender = FakeSender()
    sender.refuses_edits = SendRefused("too old")
    t = talk_through(sender)
    _, (first,) = await notify(t, "one")
    await settle(t.gateway)
    await notify(t, "two", edits=first if earlier else "never-sent")
    await settle(t.gateway)
    assert (sender.texts, sender.edits) == (["one", "two"], [])
    assert fake(t) is sender


async def test_an_edit_of_unknown_fate_is_repeated_without_doubt() -> None:
    sender = FakeSender()
    t = talk_through(sender, memory={"on_unknown": "resend"})
    _, (first,) = await notify(t, "one")
    await settle(t.gateway)
    lane, (second,) = await notify(t, "two", edits=first)
    await t.stores.lanes.take(lane, "killed", ttl=9, limit=1)
    await expire_leases(t.stores)
    await settle(t.gateway)
    assert sender.edits == [("1", "two")]
    assert "doubtful" not in await receipt(t, second)

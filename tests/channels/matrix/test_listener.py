"""What the listener does when syncs have gaps, servers fail, and people invite it."""

from __future__ import annotations

from typing import Any

import pytest

from sigil.channels.matrix import listener as listener_module
from sigil.channels.matrix import timeline
from sigil.channels.matrix.listener import MatrixListener
from sigil.errors import AccountRefused, LeaseLost, SendFailed, StoreError
from tests.channels.inbox import WaitingInbox
from tests.channels.matrix.conftest import CONTEXT, make_settings, run_listener
from tests.peers.matrix.homeserver import BOT, PASSWORD, TOKEN, Fault, Homeserver

Json = dict[str, Any]
LIMITED = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 20}
LOCKED = {"errcode": "M_USER_LOCKED", "error": "locked", "soft_logout": True}
SOFT = {"errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": True}
STREAM = {"errcode": "M_UNKNOWN", "error": "Invalid stream token"}


def say(id: str, text: str = "", sender: str = "@alice:hs") -> Json:
    content = {"msgtype": "m.text", "body": text or id}
    return {"type": "m.room.message", "event_id": id, "sender": sender, "content": content}


def come(user: str, membership: str = "join", id: str = "$m") -> Json:
    content = {"membership": membership}
    return {
        "type": "m.room.member",
        "event_id": id,
        "sender": user,
        "state_key": user,
        "content": content,
    }


def news(*events: Any, room: str = "!r", end: str = "end", **timeline: Any) -> Json:
    found = {"timeline": {"events": list(events), **timeline}}
    return {"next_batch": end, "rooms": {"join": {room: found}}}


def invite(sender: str = "@alice:hs", room: str = "!i", end: str = "end") -> Json:
    content = {"membership": "invite", "is_direct": True}
    event = {"type": "m.room.member", "state_key": BOT, "sender": sender, "content": content}
    found = {"invite_state": {"events": [event]}}
    return {"next_batch": end, "rooms": {"invite": {room: found}}}


async def hear(listener: MatrixListener, inbox: WaitingInbox, end: str = "end") -> list[str]:
    async with run_listener(listener, inbox):
        return [message.message_id for message in await inbox.wait_for_cursor(end)]


async def test_the_first_sync_tells_only_the_position(
    server: Homeserver, listener: MatrixListener
) -> None:
    inbox = WaitingInbox()
    server.push(news(say("$old"), end="s1"), news(say("$new"), end="s2"))
    assert await hear(listener, inbox, "s2") == ["$new"]
    first, second = server.called("/sync")[:2]
    assert "since" not in first.query
    assert second.query["since"] == "s1"
    assert inbox.cursors[:2] == ["s1", "s2"]


async def test_the_position_is_stored_after_all_before_it_was_accepted(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    inbox.error = StoreError("Redis did not answer.")
    batch = news(say("$a"), say("$b"))
    server.push(batch)
    with pytest.raises(StoreError):
        await hear(listener, inbox)
    assert inbox.cursors == []
    server.push(batch)
    assert await hear(listener, inbox) == ["$a", "$b"]
    assert {call.query["since"] for call in server.called("/sync")[:2]} == {"s0"}
    assert inbox.duplicates == 0


async def test_who_has_lost_the_lease_stops(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    inbox.owned = False
    server.push(news(say("$a")))
    with pytest.raises(LeaseLost):
        await hear(listener, inbox)


async def test_a_gap_is_read_down_to_the_last_event_that_was_known(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    # This server takes no notice of `to`.
    server.pages["!r"] = [
        {"chunk": [say("$e"), say("$d"), say("$c")], "end": "t2"},
        {"chunk": [say("$b"), say("$a"), say("$ancient")], "end": "t3"},
    ]
    server.push(news(say("$a"), end="s1"))
    server.push(news(say("$f"), limited=True, prev_batch="t1", end="s2"))
    assert await hear(listener, inbox, "s2") == ["$a", "$b", "$c", "$d", "$e", "$f"]
    first, second = server.called("/messages")
    assert (first.query["from"], first.query["to"], first.query["dir"]) == ("t1", "s1", "b")
    assert second.query["from"] == "t2"
    assert inbox.duplicates == 0


async def test_a_gap_without_end_is_bounded(
    server: Homeserver,
    inbox: WaitingInbox,
    listener: MatrixListener,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeline, "MAX_PAGES", 3)
    server.pages["!r"] = [{"chunk": [say(f"$p{n}")], "end": f"t{n}"} for n in range(100)]
    server.push(news(say("$z"), limited=True, prev_batch="t"))
    assert await hear(listener, inbox) == ["$p2", "$p1", "$p0", "$z"]


async def test_a_gap_that_cannot_be_read_does_not_hold_up_others_for_ever(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.fail("messages", Fault(500), times=listener_module.GAP_TRIES)
    batch = news(say("$z"), limited=True, prev_batch="t")
    for _ in range(listener_module.GAP_TRIES - 1):
        server.push(batch)
        with pytest.raises(SendFailed):
            await hear(listener, inbox)
    server.push(batch)
    assert await hear(listener, inbox) == ["$z"]


async def test_what_was_said_before_the_invitation_is_not_read(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.pages["!r"] = [{"chunk": [say("$older")], "end": "t2"}]
    invited = come(BOT, "invite", "$i")
    events = [say("$before"), invited, say("$with"), come(BOT, id="$j"), say("$after")]
    server.push(news(*events, limited=True, prev_batch="t1"))
    assert await hear(listener, inbox) == ["$with", "$after"]
    assert server.called("/messages") == []


async def test_after_joining_without_an_invitation_it_begins_with_the_join(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    renamed = come(BOT, id="$n") | {"unsigned": {"prev_content": {"membership": "join"}}}
    server.push(news(say("$before"), come(BOT, id="$j"), say("$a"), renamed, say("$b")))
    assert await hear(listener, inbox) == ["$a", "$b"]


async def test_a_position_that_the_server_does_not_know_is_dropped_and_nothing_known_is_lost(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.pages["!r"] = [{"chunk": [say("$c"), say("$b"), say("$a")], "end": "t2"}]
    anew = news(say("$d"), limited=True, prev_batch="t1", end="s9")
    anew["rooms"]["join"]["!other"] = {"timeline": {"events": [say("$x")]}}
    server.push(news(say("$a"), end="s1"), Fault(400, STREAM), anew)
    assert await hear(listener, inbox, "s9") == ["$a", "$b", "$c", "$d"]


async def test_an_unknown_position_at_the_start_is_dropped(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.fail("sync", Fault(400, STREAM))
    server.push(news(say("$old"), end="s1"), news(say("$new"), end="s2"))
    assert await hear(listener, inbox, "s2") == ["$new"]
    assert [call.query.get("since") for call in server.called("/sync")[:3]] == ["s0", None, "s1"]


async def test_a_limited_sync_is_asked_again_from_the_same_position(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.fail("sync", Fault(429, LIMITED, {"Retry-After": "0"}))
    server.push(news(say("$a")))
    assert await hear(listener, inbox) == ["$a"]
    assert [call.query["since"] for call in server.called("/sync")[:2]] == ["s0", "s0"]


@pytest.mark.parametrize(
    "fault",
    [Fault(502, b"<html>"), Fault(200, b"<html>"), Fault(200, {"rooms": {}}), Fault(cut=True)],
)
async def test_a_broken_sync_ends_listening_and_loses_nothing(
    fault: Fault, server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.fail("sync", fault, times=2 if fault.cut else 1)  # HTTP asks again after a cut
    with pytest.raises(SendFailed):
        await hear(listener, inbox)
    server.push(news(say("$a")))
    assert await hear(listener, inbox) == ["$a"]


async def test_a_soft_logout_is_followed_by_a_login_for_the_same_device(
    server: Homeserver, inbox: WaitingInbox
) -> None:
    listener = MatrixListener(CONTEXT, make_settings(server, password=PASSWORD))
    server.fail("sync", Fault(401, SOFT))
    server.push(news(say("$a")))
    assert await hear(listener, inbox) == ["$a"]
    (login,) = server.called("/login")
    assert login.json["device_id"] == "SIGIL"
    assert set(server.tokens.values()) == {"SIGIL"}


@pytest.mark.parametrize("body", [SOFT, LOCKED])
async def test_a_logout_without_a_password_is_for_somebody_to_mend(
    body: Json, server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.fail("sync", Fault(401, body))
    with pytest.raises(AccountRefused) as caught:
        await hear(listener, inbox)
    assert caught.value.hint
    assert server.called("/login") == []


async def test_a_locked_account_keeps_its_token(server: Homeserver, inbox: WaitingInbox) -> None:
    listener = MatrixListener(CONTEXT, make_settings(server, password=PASSWORD))
    server.fail("sync", Fault(401, LOCKED))
    with pytest.raises(AccountRefused):
        await hear(listener, inbox)
    assert server.called("/login") == []
    server.push(news(say("$a")))  # the lock was lifted
    assert await hear(listener, inbox) == ["$a"]


async def test_a_token_of_somebody_else_is_refused(server: Homeserver, inbox: WaitingInbox) -> None:
    listener = MatrixListener(CONTEXT, make_settings(server, user_id="@other:hs"))
    with pytest.raises(AccountRefused, match="@other:hs"):
        await hear(listener, inbox)


async def test_an_invitation_is_accepted_with_a_body(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.push(invite())
    await hear(listener, inbox)
    (call,) = server.called("/join")
    assert call.json == {}
    assert server.joined == ["!i"]


async def test_an_invitation_from_a_stranger_is_declined(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    inbox.strangers = {"@mallory:hs"}
    server.push(invite("@mallory:hs"))
    await hear(listener, inbox)
    assert (server.joined, server.left) == ([], ["!i"])


async def test_a_room_whose_server_is_away_is_joined_later(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.fail("join", Fault(502))
    server.push(invite(end="s1"), {"next_batch": "s2"})
    await hear(listener, inbox, "s2")
    assert server.joined == ["!i"]


async def test_an_invitation_that_was_taken_back_is_forgotten(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.fail("join", Fault(403, {"errcode": "M_FORBIDDEN", "error": "not invited"}))
    server.push(invite(end="s1"), {"next_batch": "s2"})
    await hear(listener, inbox, "s2")
    assert len(server.called("/join")) == 1


async def test_an_encrypted_room_is_told_once_also_after_a_restart(
    server: Homeserver, inbox: WaitingInbox
) -> None:
    hidden = say("$x") | {"type": "m.room.encrypted", "content": {"ciphertext": "Aw"}}
    for end in ("s1", "s2"):
        listener = MatrixListener(CONTEXT, make_settings(server))
        server.push(news(hidden, hidden | {"event_id": "$y"}, end=end))
        assert await hear(listener, inbox, end) == []
    (told,) = server.sent
    assert "encrypted" in told["content"]["body"]


async def test_a_room_is_direct_while_two_are_in_it(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    async with run_listener(listener, inbox):
        server.push(news(say("$a"), end="s1"))
        await inbox.wait_for_cursor("s1")
        server.members["!r"] = {BOT: "Sigil", "@alice:hs": "Alice", "@bob:hs": "Bob"}
        server.push(news(come("@bob:hs"), say("$b"), end="s2"))
        await inbox.wait_for_cursor("s2")
        server.members["!r"].pop("@bob:hs")
        server.push(news(come("@bob:hs", "leave"), say("$c"), end="s3"))
        messages = await inbox.wait_for_cursor("s3")
    assert [message.is_direct for message in messages] == [True, False, True]
    assert [message.addressed for message in messages] == [True, False, True]


async def test_without_a_list_of_members_the_flag_of_the_invitation_counts(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.fail("members", Fault(404, {"errcode": "M_UNRECOGNIZED", "error": "no"}), times=9)
    server.push(invite(room="!i", end="s1"))
    server.push(news(come(BOT, id="$j"), say("$a"), room="!i", end="s2"))
    direct = {"type": "m.direct", "content": {"@alice:hs": ["!d"]}}
    server.push(news(say("$b"), room="!d", end="s3") | {"account_data": {"events": [direct]}})
    server.push(news(say("$c"), room="!g", end="s4"))
    async with run_listener(listener, inbox):
        messages = await inbox.wait_for_cursor("s4")
    assert [message.is_direct for message in messages] == [True, True, False]


async def test_after_a_kick_and_a_return_only_what_is_new_is_read(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.push(news(say("$a"), end="s1"))
    left = {"timeline": {"events": [say("$b"), come(BOT, "leave", "$l")]}}
    server.push({"next_batch": "s2", "rooms": {"leave": {"!r": left}}})
    events = [say("$meanwhile"), come(BOT, "invite", "$i"), come(BOT, id="$j"), say("$c")]
    server.push(news(*events, end="s3"))
    assert await hear(listener, inbox, "s3") == ["$a", "$c"]


async def test_what_cannot_be_read_spoils_nothing_else(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    rooms = {
        "!bad": "no object",
        "!odd": {"timeline": {"events": {"no": "list"}}, "summary": 7},
        "!r": {"timeline": {"events": [None, {"type": 1}, say("$" + "x" * 300), say("$a")]}},
    }
    odd = {"invite": {"!i": [], "!j": {}}, "leave": 5}
    server.push({"next_batch": "end", "rooms": {"join": rooms, **odd}, "account_data": 3})
    assert await hear(listener, inbox) == ["$a"]


async def test_a_file_of_a_stranger_is_not_fetched(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    inbox.strangers = {"@alice:hs"}
    server.media["hs/abc"] = b"data"
    server.push(news(send_file()))
    await hear(listener, inbox)
    assert server.called("/download") == []
    (message,) = inbox.received
    assert message.content == "[a.bin]"


async def test_a_file_is_fetched_again_once(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.media["hs/abc"] = b"data"
    server.fail("download", Fault(502, b"<html>"))
    server.push(news(send_file()))
    await hear(listener, inbox)
    assert [data for _, data in inbox.files] == [b"data"]


async def test_a_file_that_is_larger_than_it_said_is_refused(
    server: Homeserver, listener: MatrixListener
) -> None:
    inbox = WaitingInbox(cursor="s0", largest=10)
    server.media["hs/abc"] = b"x" * 11
    server.push(news(send_file()))
    await hear(listener, inbox)
    (attachment,) = inbox.received[0].attachments
    assert attachment.url == "refused:The file a.bin is too large."


def send_file() -> Json:
    content = {"msgtype": "m.file", "body": "a.bin", "url": "mxc://hs/abc"}
    return say("$f") | {"content": content}


async def test_no_secret_is_shown(
    server: Homeserver, inbox: WaitingInbox, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(server, password=PASSWORD)
    listener = MatrixListener(CONTEXT, settings)
    server.fail("sync", Fault(401, SOFT))
    server.fail("login", Fault(403, {"errcode": "M_FORBIDDEN", "error": "Invalid password"}))
    with pytest.raises(AccountRefused) as caught:
        await hear(listener, inbox)
    shown = f"{capsys.readouterr()} {caught.value!r} {caught.value} {settings!r} {settings}"
    assert TOKEN not in shown
    assert PASSWORD not in shown

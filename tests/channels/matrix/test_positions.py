"""Where in the stream a listener is: nothing is lost, doubled, or answered that is old."""

from __future__ import annotations

import pytest

from sigil.channels.matrix import listener as listener_module
from sigil.channels.matrix import timeline
from sigil.channels.matrix.listener import MatrixListener
from sigil.errors import LeaseLost, SendFailed, StoreError
from tests.channels.inbox import WaitingInbox
from tests.channels.matrix.accounts import CONTEXT, make_settings
from tests.channels.matrix.syncs import come, hear, news, say
from tests.peers.matrix.homeserver import BOT, Homeserver
from tests.peers.matrix.script import Fault

STREAM = {"errcode": "M_UNKNOWN", "error": "Invalid stream token"}


async def test_the_first_sync_tells_only_the_position(
    server: Homeserver, listener: MatrixListener
) -> None:
    inbox = WaitingInbox()
    old = news(say("$old"), limited=True, prev_batch="t1", end="s1")
    server.push(old, news(say("$new"), end="s2"))
    assert await hear(listener, inbox, "s2") == ["$new"]
    assert server.called("/messages") == []
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


async def test_after_a_restart_the_last_events_are_known(
    server: Homeserver, inbox: WaitingInbox
) -> None:
    """So a position that the server has forgotten loses nothing either."""
    server.push(news(say("$a"), end="s1"))
    await hear(MatrixListener(CONTEXT, make_settings(server)), inbox, "s1")
    server.pages["!r"] = [{"chunk": [say("$b"), say("$a")], "end": "t2"}]
    anew = news(say("$c"), limited=True, prev_batch="t1", end="s9")
    server.push(Fault(400, {"errcode": "M_INVALID_PARAM", "error": "since"}), anew)
    again = MatrixListener(CONTEXT, make_settings(server))
    assert await hear(again, inbox, "s9") == ["$a", "$b", "$c"]


async def test_a_gap_is_read_where_the_server_takes_no_end_for_it(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.fail("messages", Fault(400, {"errcode": "M_INVALID_PARAM", "error": "to"}))
    server.pages["!r"] = [{"chunk": [say("$b"), say("$a")], "end": "t2"}]
    server.push(news(say("$a"), end="s1"))
    server.push(news(say("$c"), limited=True, prev_batch="t1", end="s2"))
    assert await hear(listener, inbox, "s2") == ["$a", "$b", "$c"]

"""What the listener does when servers fail, and when people invite it or leave."""

from __future__ import annotations

from typing import Any

import pytest

from sigil.channels.matrix.listener import MatrixListener
from sigil.errors import AccountRefused, SendFailed
from tests.channels.inbox import WaitingInbox
from tests.channels.matrix.accounts import CONTEXT, make_settings, run_listener
from tests.channels.matrix.syncs import come, hear, invite, news, say, send_file
from tests.peers.matrix.homeserver import BOT, PASSWORD, TOKEN, Homeserver
from tests.peers.matrix.script import Fault

Json = dict[str, Any]
LIMITED = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 20}
LOCKED = {"errcode": "M_USER_LOCKED", "error": "locked", "soft_logout": True}
SOFT = {"errcode": "M_UNKNOWN_TOKEN", "error": "expired", "soft_logout": True}


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


@pytest.mark.parametrize(
    "hurts",
    [
        news(say("$" + "ü" * 200)),
        news(say("$x", sender="@" + "ü" * 200)),
        news(say("$x"), room="!" + "ü" * 200),
    ],
)
async def test_an_id_that_is_too_long_hurts_nobody_else(
    hurts: Json, server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.push(hurts | {"next_batch": "s1"}, news(say("$a")))
    assert await hear(listener, inbox) == ["$a"]
    assert set(inbox.last) == {"!r"}


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
        first, second = (hidden | {"event_id": f"${end}{n}"} for n in range(2))
        server.push(news(first, second, end=end))
        assert await hear(listener, inbox, end) == []
    assert len(server.called("/send/")) == 2  # by each process once, and the first one counts
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


async def test_who_came_while_another_process_listened_is_noticed(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.push(news(say("$a"), end="s1"))
    await hear(listener, inbox, "s1")
    server.members["!r"] = {BOT: "Sigil", "@alice:hs": "Alice", "@bob:hs": "Bob"}
    server.push(news(say("$b"), end="s2"))
    await hear(listener, inbox, "s2")
    assert [message.is_direct for message in inbox.received] == [True, False]


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


async def test_a_server_that_does_not_wait_is_not_asked_without_pause(
    server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    server.push(*({"next_batch": f"s{n}"} for n in range(100)))
    async with run_listener(listener, inbox):
        await inbox.wait_for_cursor("s1")
    assert len(server.called("/sync")) < 10

"""What the sender puts into rooms, and what it does when the server fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from sigil.channels.base import Rendered
from sigil.channels.matrix.sender import MatrixSender
from sigil.channels.matrix.spec import MatrixType
from sigil.errors import AccountRefused, MarkupRefused, SendFailed
from tests.channels.matrix.accounts import PLACE, make_chunk
from tests.peers.matrix.homeserver import BOT, PASSWORD, Homeserver
from tests.peers.matrix.script import Fault

MakeSender = Callable[..., MatrixSender]
LIMITED = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 375}


async def test_the_text_goes_out_plain_and_as_html_and_calls_nobody(
    server: Homeserver, make_sender: MakeSender
) -> None:
    sent = await make_sender().send(make_chunk("so *it* is @room", html="so <em>it</em> is @room"))
    (event,) = server.sent
    assert sent == "$sent0"
    assert event == {
        "room": PLACE.channel_id,
        "type": "m.room.message",
        "content": {
            "msgtype": "m.text",
            "body": "so *it* is @room",
            "format": "org.matrix.custom.html",
            "formatted_body": "so <em>it</em> is @room",
            "m.mentions": {},
        },
    }


async def test_a_reply_is_in_its_first_chunk_and_a_thread_in_each(
    server: Homeserver, make_sender: MakeSender
) -> None:
    sender = make_sender()
    await sender.send(make_chunk(id="c1", reply_to="$q"))
    await sender.send(make_chunk(id="c2", reply_to="$q", index=1))
    await sender.send(make_chunk(id="c3", thread_id="$root", reply_to="$q"))
    await sender.send(make_chunk(id="c4", thread_id="$root", reply_to="$q", index=1))
    thread = {"rel_type": "m.thread", "event_id": "$root", "is_falling_back": True}
    assert [event["content"].get("m.relates_to") for event in server.sent] == [
        {"m.in_reply_to": {"event_id": "$q"}},
        None,
        thread | {"m.in_reply_to": {"event_id": "$q"}},
        thread | {"m.in_reply_to": {"event_id": "$root"}},
    ]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut=True, done=True),
        Fault(500, done=True),
        Fault(504, b"<html>", done=True),
        Fault(200, b"not JSON", done=True),
        Fault(200, {"no": "id"}, done=True),
    ],
)
async def test_what_was_done_without_a_word_is_sent_again_and_shown_once(
    fault: Fault, server: Homeserver, make_sender: MakeSender
) -> None:
    sender = make_sender()
    server.fail("send", fault, times=2 if fault.cut else 1)  # HTTP asks again after a cut
    with pytest.raises(SendFailed) as caught:
        await sender.send(make_chunk())
    assert caught.value.outcome_unknown
    assert await sender.send(make_chunk()) == "$sent0"
    assert len(server.sent) == 1
    assert len({call.path for call in server.called("/send/")}) == 1


async def test_a_server_that_is_not_there_has_done_nothing(make_sender: MakeSender) -> None:
    sender = make_sender(homeserver="http://127.0.0.1:1")
    with pytest.raises(SendFailed) as caught:
        await sender.send(make_chunk())
    assert not caught.value.outcome_unknown


async def test_a_limit_rests_the_account(server: Homeserver, make_sender: MakeSender) -> None:
    server.fail("send", Fault(429, LIMITED, {"Retry-After": "1"}))
    with pytest.raises(SendFailed) as caught:
        await make_sender().send(make_chunk())
    assert (caught.value.retry_after, caught.value.rests_account) == (1.0, True)


async def test_the_largest_text_fits_into_an_event(
    server: Homeserver, make_sender: MakeSender
) -> None:
    largest = MatrixType.spec.text_limit
    for index, letter in enumerate(("x", "é", "語", '"')):
        text = letter * (largest // len(letter.encode()))
        html = "" if letter == '"' else f"<p>{text}</p>" * 2  # in JSON it takes two bytes
        sent = make_chunk(text, id=f"c{index}", html=html)
        await make_sender().send(sent)
        await make_sender().edit(replace(sent, id=f"e{index}"), "$a")
    assert len(server.sent) == 8


async def test_an_event_that_is_too_large_is_sent_plainly(
    server: Homeserver, make_sender: MakeSender
) -> None:
    with pytest.raises(MarkupRefused):
        await make_sender().send(make_chunk("x", html="<b>x</b>" * 20_000))


async def test_an_edit_replaces_the_text(server: Homeserver, make_sender: MakeSender) -> None:
    sender = make_sender()
    await sender.edit(make_chunk("two" * 100, html="<b>two</b>"), "$a")
    content = server.sent[0]["content"]
    assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$a"}
    assert content["m.new_content"]["body"] == "two" * 100
    assert content["m.new_content"]["formatted_body"] == "<b>two</b>"
    assert "m.relates_to" not in content["m.new_content"]
    assert content["body"].startswith("* two")
    assert len(content["body"]) < 250


async def test_an_edit_that_was_done_is_not_doubled_and_another_one_is_no_repeat(
    server: Homeserver, make_sender: MakeSender
) -> None:
    sender = make_sender()
    for text in ("one", "one", "two"):
        await sender.edit(make_chunk(text), "$a")
    bodies = [event["content"]["m.new_content"]["body"] for event in server.sent]
    assert bodies == ["one", "two"]


async def test_the_answer_takes_the_place_of_its_draft(
    server: Homeserver, make_sender: MakeSender
) -> None:
    sender = make_sender()
    place = replace(PLACE, thread_id="$root")
    shown = await sender.show_draft(place, "d1", Rendered("It"), None)
    assert await sender.show_draft(place, "d1", Rendered("It is"), shown) == shown
    assert await sender.send(make_chunk("It is 42.", replaces=shown)) == shown
    first, *edits = server.sent
    assert first["content"]["m.relates_to"]["event_id"] == "$root"
    assert [edit["content"]["m.new_content"]["body"] for edit in edits] == ["It is", "It is 42."]
    assert {edit["content"]["m.relates_to"]["event_id"] for edit in edits} == {shown}


async def test_drafts_stand_back_while_the_account_is_limited(
    server: Homeserver, make_sender: MakeSender
) -> None:
    sender = make_sender()
    shown = await sender.show_draft(PLACE, "d1", Rendered("It"), None)
    server.fail("send", Fault(429, LIMITED))
    for text in ("It is", "It is 4", "It is 42"):
        assert await sender.show_draft(PLACE, "d1", Rendered(text), shown) == shown
    assert await sender.show_draft(PLACE, "d2", Rendered("Other"), None) is None
    assert len(server.called("/send/")) == 2
    await sender.send(make_chunk("It is 42.", replaces=shown))
    assert len(server.called("/send/")) == 3


async def test_typing_ends_with_the_message(server: Homeserver, make_sender: MakeSender) -> None:
    sender = make_sender()
    await sender.show_typing(PLACE)
    server.fail("typing", Fault(500))  # and if it does not, the message was sent all the same
    await sender.send(make_chunk())
    await sender.send(make_chunk(id="c2"))
    begun, ended = server.called("/typing/")
    assert begun.json == {"typing": True, "timeout": 30_000}
    assert ended.json == {"typing": False}
    assert begun.path.endswith(f"/{BOT}")


async def test_a_lost_token_is_replaced_by_a_login(
    server: Homeserver, make_sender: MakeSender
) -> None:
    server.tokens.clear()
    assert await make_sender(password=PASSWORD).send(make_chunk()) == "$sent0"
    (login,) = server.called("/login")
    assert login.json["device_id"] == "SIGIL"


async def test_workers_that_sign_in_for_one_device_take_turns(
    server: Homeserver, make_sender: MakeSender
) -> None:
    """This server lets one token of a device live."""
    senders = [make_sender(access_token=None, password=PASSWORD) for _ in range(3)]

    async def send(number: int) -> None:
        while True:
            try:
                await senders[number % 3].send(make_chunk(str(number), id=f"c{number}"))
                return
            except AccountRefused:
                raise
            except SendFailed as error:
                if not error.retry_after:
                    raise
                await asyncio.sleep(0.01)

    await asyncio.gather(*(send(number) for number in range(12)))
    assert sorted(int(event["content"]["body"]) for event in server.sent) == list(range(12))


@pytest.mark.parametrize("fault", [Fault(502, b"<html>"), Fault(cut=True)])
async def test_a_login_that_fails_leaves_nothing_unknown(
    fault: Fault, server: Homeserver, make_sender: MakeSender
) -> None:
    server.fail("login", fault)
    with pytest.raises(SendFailed) as caught:
        await make_sender(access_token=None, password=PASSWORD).send(make_chunk())
    assert not caught.value.outcome_unknown
    assert not isinstance(caught.value, AccountRefused)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"password": "wrong"}, "password"),
        ({"access_token": "wrong"}, "access_token"),
        ({}, "access_token"),
    ],
)
async def test_a_wrong_login_is_for_somebody_to_mend(
    given: dict[str, str], hint: str, make_sender: MakeSender
) -> None:
    with pytest.raises(AccountRefused) as caught:
        await make_sender(**{"access_token": None, **given}).send(make_chunk())
    assert f"channels.matrix.{hint}" in str(caught.value) or hint in str(caught.value)
    assert "wrong" not in str(caught.value)


async def test_it_may_be_closed_twice(make_sender: MakeSender) -> None:
    sender = make_sender()
    await sender.close()
    await sender.send(make_chunk())
    await sender.close()
    await sender.close()

"""Every event and every error body that the platform is known to send, from files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sigil.channels.base import Chunk, Rendered
from sigil.channels.matrix.errors import StreamTokenInvalid, make_error, read_refusal
from sigil.channels.matrix.listener import MatrixListener
from sigil.channels.matrix.sender import MatrixSender
from sigil.errors import (
    AccountRefused,
    ChannelError,
    MarkupRefused,
    SendFailed,
    SendRefused,
)
from sigil.messages.exchange import InboundMessage, OutboundMessage
from tests.channels.inbox import WaitingInbox
from tests.channels.matrix.accounts import run_listener
from tests.peers.matrix.homeserver import BOT, Homeserver
from tests.peers.matrix.script import Fault

FOLDER = Path(__file__).parent / "payloads"
PEOPLE = {BOT: "Sigil", "@alice:hs": "Alice", "@bob:hs": "Bob", "@_irc_bob:hs": "bob"}


def read(folder: str) -> list[Any]:
    files = sorted((FOLDER / folder).glob("*.json"))
    return [pytest.param(json.loads(file.read_text()), id=file.stem) for file in files]


@pytest.mark.parametrize("case", read("events"))
async def test_an_event_becomes_the_message_that_it_is(
    case: dict[str, Any], server: Homeserver, inbox: WaitingInbox, listener: MatrixListener
) -> None:
    room = case["room"]
    people = ("@alice:hs", BOT) if room != "!group" else tuple(PEOPLE)
    server.members[room] = {user: PEOPLE[user] for user in people}
    server.media = {name: data.encode() for name, data in case.get("media", {}).items()}
    server.events = {event["event_id"]: event for event in case.get("known", ())}
    events = [case["event"]]
    server.push({"next_batch": "end", "rooms": {"join": {room: {"timeline": {"events": events}}}}})
    async with run_listener(listener, inbox):
        messages = await inbox.wait_for_cursor("end")
    if case["accepted"] is None:
        assert messages == []
    else:
        (message,) = messages
        check_message(message, case["accepted"])


def check_message(message: InboundMessage, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        found = getattr(message, name)
        if name != "attachments":
            assert found == value, name
            continue
        assert len(found) == len(value)
        for attachment, fields in zip(found, value, strict=True):
            assert {name: getattr(attachment, name) for name in fields} == fields


def check_class(error: ChannelError, expected: str) -> None:
    """By the marks of the documentation: the most special class counts."""
    if expected == "wait":
        assert type(error) is SendFailed
        assert not error.outcome_unknown
        assert error.rests_account
    elif expected == "again":
        assert type(error) is SendFailed
        assert error.outcome_unknown
    else:
        kinds = {
            "config": AccountRefused,
            "perm": SendRefused,
            "degrade": MarkupRefused,
            "sync-anew": StreamTokenInvalid,
        }
        assert type(error) is kinds[expected]


@pytest.mark.parametrize("case", read("errors"))
def test_an_error_body_has_its_class(case: dict[str, Any]) -> None:
    body = case["body"]
    raw = json.dumps(body) if isinstance(body, dict) else body
    headers = {name.lower(): value for name, value in case["headers"].items()}
    refusal = read_refusal(case["status"], headers, raw.encode())
    error = make_error(refusal, "matrix", room=True)
    check_class(error, case["class"])
    for name in ("retry_after", "closes_chat"):
        if name in case:
            assert getattr(error, name) == case[name]


@pytest.mark.parametrize("case", read("errors"))
async def test_a_refused_send_raises_that_class(
    case: dict[str, Any], server: Homeserver, make_sender: Callable[..., MatrixSender]
) -> None:
    body = case["body"]
    raw = body if isinstance(body, dict) else body.encode()
    server.fail("send", Fault(case["status"], raw, case["headers"]))
    message = OutboundMessage(channel_type="matrix", channel_id="!r", content="hi")
    with pytest.raises(ChannelError) as caught:
        await make_sender().send(Chunk("c1", message, rendered=Rendered("hi")))
    check_class(caught.value, case["class"])
    assert server.sent == []

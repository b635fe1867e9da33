"""Messages from outside: bounded, or refused before anything is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.errors import MessageInvalid
from sigil.messages.exchange import (
    MAX_ATTACHMENTS,
    MAX_CONTENT_BYTES,
    MAX_REPLY_BYTES,
    Action,
    AnswerDetails,
    Attachment,
    InboundMessage,
    OutboundMessage,
    clean,
    fit_reply,
)
from sigil.testing import settle
from tests.talking import talk

IDS = ("channel_type", "channel_id", "message_id", "sender_id", "account")
OPTIONAL = ("thread_id", "reply_to", "sender_name")
GOOD: dict[str, Any] = {
    "channel_type": "memory",
    "channel_id": "c",
    "message_id": "m",
    "sender_id": "s",
    "content": "hello",
}


def with_(**fields: Any) -> InboundMessage:
    return InboundMessage(**{**GOOD, **fields})


BAD_TEXT = {
    "over its bound": "x" * 257,
    "over its bound in bytes": "é" * 129,
    "half of a surrogate pair": "a\ud800",
    "a control character": "a\x00b",
    "a line break": "a\nb",
    "a number": 7,
    "a list": ["a"],
}


@pytest.mark.parametrize("what", BAD_TEXT)
@pytest.mark.parametrize("field", [*IDS, *OPTIONAL])
def test_a_name_out_of_its_bounds_is_refused_by_name(field: str, what: str) -> None:
    with pytest.raises(MessageInvalid) as error:
        with_(**{field: BAD_TEXT[what]})
    assert field in str(error.value)
    assert "x" * 50 not in str(error.value), "what is hostile is not repeated"


@pytest.mark.parametrize("field", [*IDS, *OPTIONAL])
def test_an_empty_name_is_refused(field: str) -> None:
    with pytest.raises(MessageInvalid, match=f"{field} is empty"):
        with_(**{field: ""})


@pytest.mark.parametrize("field", IDS)
def test_an_id_must_be_given(field: str) -> None:
    with pytest.raises(MessageInvalid):
        with_(**{field: None})


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"content": ""}, "empty"),
        ({"content": "x" * (MAX_CONTENT_BYTES + 1)}, "at most"),
        ({"content": "x" * 1_000_000}, "smaller parts"),
        ({"content": "\udcff"}, "UTF-8"),
        ({"content": b"bytes"}, "text"),
        ({"is_direct": 1}, "is_direct"),
        ({"received_at": datetime(2026, 1, 1)}, "timezone"),  # that is the point
        ({"received_at": "now"}, "timezone"),
        ({"attachments": "a"}, "attachments"),
        ({"attachments": [{"url": "u"}]}, "attachments"),
        ({"attachments": [Attachment("u")] * (MAX_ATTACHMENTS + 1)}, "attachments"),
    ],
)
def test_what_else_is_out_of_bounds_is_refused(fields: dict[str, Any], match: str) -> None:
    with pytest.raises(MessageInvalid, match=match):
        with_(**fields)


@pytest.mark.parametrize(
    "fields",
    [{"url": ""}, {"url": "x" * 5000}, {"name": "a\x07"}, {"mime_type": "\ud800"}]
    + [{"size": size} for size in (-1, "1", 1.5, True)],
)
def test_an_attachment_is_bounded_too(fields: dict[str, Any]) -> None:
    with pytest.raises(MessageInvalid):
        Attachment(**{"url": "https://example.org/a", **fields})


async def test_what_is_at_its_bound_is_answered() -> None:
    longest = "é" * 128
    longest_name = "a" * 64  # of an entry in the configuration
    t = talk(accounts=[longest_name])
    message = with_(
        **dict.fromkeys(("channel_id", "message_id", "sender_id"), longest),
        account=longest_name,
        **dict.fromkeys(OPTIONAL, longest),
        content="x" * MAX_CONTENT_BYTES,
        attachments=[Attachment("https://example.org/a", size=0)] * MAX_ATTACHMENTS,
    )
    assert not (await t.gateway.receive(message)).duplicate
    await settle(t.gateway)
    (text,) = t.texts
    assert text.startswith("ok")  # and says that the files cannot be had


async def test_words_may_hold_any_character_that_is_one() -> None:
    t = talk()
    text = "\x00\x07\r\n\N{ZERO WIDTH SPACE}\N{RIGHT-TO-LEFT OVERRIDE}\U0010ffff %s {0} ' \" \\"
    assert await t.say(text) == ["ok"]
    assert await t.asked() == [text]


def test_a_bare_message_has_every_default() -> None:
    message = with_()
    assert (message.account, message.is_direct, message.attachments) == ("default", True, ())
    assert message.received_at.tzinfo is not None
    assert OutboundMessage(channel_type="c", channel_id="1", content="x").media == ()


@given(
    content=st.text(min_size=1, max_size=50).filter(lambda t: clean(t) == t),
    size=st.none() | st.integers(0, 2**60),
    is_direct=st.booleans(),
    at=st.datetimes(timezones=st.just(UTC)),
)
def test_json_and_back_is_the_same(
    content: str, size: int | None, is_direct: bool, at: datetime
) -> None:
    files = (Attachment("https://example.org/ä", "ä", size=size),)
    message = with_(content=content, attachments=files, is_direct=is_direct, received_at=at)
    assert InboundMessage.from_json(message.to_json()) == message
    assert InboundMessage.from_json(message.to_json().encode()) == message
    out = OutboundMessage("c", "1", content, media=files, thread_id="t")
    assert OutboundMessage.from_json(out.to_json()) == out


def test_what_a_reply_carries_beside_its_text_is_kept_apart_from_it() -> None:
    """A worker of the version before knows only `body`, and rejects fields in it that it does not
    know."""
    plain = OutboundMessage("c", "1", "x")
    details = AnswerDetails("a/b", 1.5, 10, 5, None, broke_off=("c/d",), cut_at=5, stopped=True)
    full = replace(plain, details=details, actions=(Action("id", "label"),), answers=("m",))
    assert OutboundMessage.from_json(full.to_json()) == full
    assert OutboundMessage.from_record(full.to_record()) == full
    assert full.to_record()["body"] == plain.to_json()
    assert plain.to_record() == {"body": plain.to_json()}
    assert not {"details", "actions", "answers"} & json.loads(plain.to_json()).keys()


@pytest.mark.parametrize(
    "extras", ["", "[]", "5", '{"details":{}}', '{"actions":[{}]}', '{"actions":5}']
)
def test_a_reply_is_sent_without_extras_that_cannot_be_read(extras: str) -> None:
    plain = OutboundMessage("c", "1", "x")
    assert OutboundMessage.from_record({**plain.to_record(), "extras": extras}) == plain


def test_extras_of_a_later_version_are_read_as_far_as_they_are_known() -> None:
    details = {"model": "a/b", "seconds": 1, "input_tokens": 1, "output_tokens": 1, "cost": 1}
    extras = json.dumps({"details": {**details, "mood": "good"}, "colour": "red"})
    message = OutboundMessage.from_record(
        {**OutboundMessage("c", "1", "x").to_record(), "extras": extras}
    )
    assert message.details == AnswerDetails("a/b", 1, 1, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        "{",
        b"\xff\xfe",
        json.dumps({k: v for k, v in GOOD.items() if k != "content"}),
        json.dumps({**GOOD, "received_at": "yesterday"}),
        json.dumps({**GOOD, "received_at": 7}),
        json.dumps({**GOOD, "attachments": [{"uri": "x"}]}),
        json.dumps({**GOOD, "attachments": 7}),
        json.dumps({**GOOD, "content": None}),
    ],
)
def test_what_is_not_a_message_is_refused(text: str | bytes) -> None:
    with pytest.raises(MessageInvalid):
        InboundMessage.from_json(text)


async def test_a_message_that_is_refused_stores_nothing() -> None:
    t = talk()
    with pytest.raises(MessageInvalid):
        await t.gateway.receive(replace(t.message("x"), content="x" * 1_000_000))
    assert await t.counts() == {}
    assert await t.gateway.recover() is None


@given(st.text(alphabet=st.characters(), max_size=30) | st.text("\ud83d\ude00a", max_size=9))
def test_clean_text_is_utf_8_and_clean_text_stays(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.encode().decode() == cleaned
    assert clean(cleaned) == cleaned


def test_a_reply_is_cut_between_characters() -> None:
    assert fit_reply("short") == "short"
    assert fit_reply("a" + "é" * MAX_REPLY_BYTES) == "a" + "é" * (MAX_REPLY_BYTES // 2 - 1)


def test_no_message_comes_later_than_now() -> None:
    ahead = datetime.now(UTC) + timedelta(days=365)
    message = InboundMessage("web", "c", "1", "ann", "hi", received_at=ahead)
    assert message.received_at <= datetime.now(UTC)

"""Whatever a server sends, reading it raises nothing and leaves something that can be stored."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigil.channels.matrix.content import (
    clean_name,
    is_mentioned,
    read_command,
    read_words,
    split_quote,
    strip_mention,
)
from sigil.channels.matrix.payloads import Content, SyncAnswer, read_event
from sigil.messages.exchange import InboundMessage

NAMES = ("Sigil", "sigil")
KEYS = [
    *("msgtype", "body", "format", "formatted_body", "filename", "url", "info", "geo_uri"),
    *("m.relates_to", "m.new_content", "m.mentions", "rel_type", "event_id", "m.in_reply_to"),
    *("user_ids", "size", "mimetype", "membership", "displayname", "is_direct"),
    *("org.matrix.msc3245.voice", "type", "sender", "content", "unsigned", "prev_content"),
]
WORDS = ["m.text", "m.image", "m.audio", "m.replace", "m.thread", "@bot:hs", "> <@a:b> hi\n\nyes"]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
    | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


# The first example waits for hypothesis' tables of characters.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_content_is_read(found: dict[str, Any]) -> None:
    event = {"type": "m.room.message", "event_id": "$a", "sender": "@a:hs", "content": found}
    read = read_event(event)
    assert read is not None
    content = read.content
    if content is None:
        return
    quote, text = split_quote(read_words(content))
    is_mentioned(content, text, "@bot:hs", NAMES)
    text = read_command(strip_mention(text, "@bot:hs", NAMES), {"stop"})
    assert quote != ""


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_any_event_and_any_sync_is_read_or_not(found: Any) -> None:
    read_event(found)
    SyncAnswer.model_validate({"next_batch": "s1", "rooms": found, "account_data": found})


@given(st.text())
def test_a_name_can_be_stored(name: str) -> None:
    cleaned = clean_name(name)
    InboundMessage(
        channel_type="matrix",
        channel_id="!r",
        message_id="$a",
        sender_id="@a:hs",
        content="hi",
        sender_name=cleaned or None,
    )


@given(st.text(alphabet="> ab\n<@:", max_size=40))
def test_a_quote_takes_only_lines_that_are_marked(text: str) -> None:
    quote, rest = split_quote(text)
    assert quote is None or text.startswith(">")
    assert rest.strip() in text


@given(st.text(alphabet=string.ascii_letters + " .,:!?@", max_size=40))
def test_a_text_without_the_name_is_left_alone(text: str) -> None:
    if "sigil" not in text.lower():
        assert strip_mention(text, "@bot:hs", NAMES) == text
        assert not is_mentioned(Content(), text, "@other:hs", NAMES)


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("Sigil: hello", "hello"),
        ("sigil, hello", "hello"),
        ("@Sigil hello", "hello"),
        ("@bot:hs: hello", "hello"),
        ("Sigil /stop", "/stop"),
        ("Sigil is great", "Sigil is great"),
        ("Sigil:", "Sigil:"),
        ("sigils: two", "sigils: two"),
        ("is Sigil: there", "is Sigil: there"),
    ],
)
def test_a_name_that_is_set_apart_is_taken_off(text: str, stripped: str) -> None:
    assert strip_mention(text, "@bot:hs", NAMES) == stripped


@pytest.mark.parametrize("text", ["sigil.example.org is down", "me@sigil.org", "@sigil:other.org"])
def test_an_address_with_the_name_in_it_is_no_mention(text: str) -> None:
    assert not is_mentioned(Content(), text, "@bot:hs", NAMES)

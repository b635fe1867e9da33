"""Records of other versions: what is read, what is left to a newer process, what is malformed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil import records
from sigil.errors import MessageInvalid, RecordTooNew
from sigil.messages.conversation import (
    AttachedFile,
    Document,
    Image,
    Message,
    ToolCall,
    decode_message,
    encode_message,
)
from sigil.messages.exchange import Attachment, InboundMessage, OutboundMessage
from sigil.records import VERSION, Record
from sigil.sessions import Route

FILES = (Attachment("https://example.org/a", "a"),)
INBOUND = InboundMessage("web", "c", "m", "ann", "hello", attachments=FILES)
OUTBOUND = OutboundMessage("web", "c", "hi", media=FILES)
ROUTE = Route("personal", "ann", "personal:ann/direct/ann")
CALL = ToolCall("1", "clock", {"zone": "UTC"})
SPOKEN = Message("assistant", "so", tool_calls=(CALL,), images=(Image("https://example.org/i"),))

# Each record as JSON, and how it is read.
READ: list[tuple[Any, str, Callable[[str], Any]]] = [
    (INBOUND, INBOUND.to_json(), InboundMessage.from_json),
    (OUTBOUND, OUTBOUND.to_json(), OutboundMessage.from_json),
    (ROUTE, ROUTE.to_json(), Route.from_json),
    (SPOKEN, encode_message(SPOKEN), decode_message),
]
KINDS = [type(record).__name__ for record, _, _ in READ]

# What version 1 reads. It refuses everything else, so none of this may ever get more names.
VERSION_1 = {
    InboundMessage: "channel_type channel_id message_id sender_id content account thread_id "
    "sender_name is_direct reply_to attachments received_at",
    OutboundMessage: "channel_type channel_id content thread_id media account reply_to",
    Route: "workspace_id user_id session_key",
}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
unknown = st.dictionaries(st.text(min_size=1).map("new-{}".format), values, max_size=3)


def add_unknown(value: Any, more: dict[str, Any]) -> Any:
    """Adds the fields to each object of a record."""
    if isinstance(value, list):
        return [add_unknown(each, more) for each in value]
    if isinstance(value, dict):
        inner = {name: add_unknown(each, more) for name, each in value.items()}
        # A tool's arguments are the model's; everything in them means something.
        return inner if "zone" in value else {**inner, **more}
    return value


@pytest.mark.parametrize(("record", "text", "read"), READ, ids=KINDS)
@given(more=unknown, lowest=st.none() | st.integers(-1, VERSION), written_by=st.integers())
def test_fields_that_are_not_known_are_ignored(
    record: Any,
    text: str,
    read: Callable[[str], Any],
    more: dict[str, Any],
    lowest: int | None,
    written_by: int,
) -> None:
    found = add_unknown(json.loads(text), more)
    if lowest is not None:
        found |= {"v": written_by, "min": lowest}
    assert read(json.dumps(found)) == record


@pytest.mark.parametrize(("record", "text", "read"), READ, ids=KINDS)
def test_what_is_for_newer_versions_is_too_new(
    record: Any, text: str, read: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What it holds besides may have any form.
    newer = json.dumps({**json.loads(text), "content": 7, "v": VERSION + 2, "min": VERSION + 1})
    with pytest.raises(RecordTooNew, match=f"version {VERSION + 1}, and this process reads"):
        read(newer)
    newer = json.dumps({**json.loads(text), "v": VERSION + 2, "min": VERSION + 1})
    monkeypatch.setattr(records, "VERSION", VERSION + 1)
    assert read(newer) == record


@pytest.mark.parametrize(("record", "text", "read"), READ, ids=KINDS)
@pytest.mark.parametrize("lowest", [None, "3", 3.5, True, [3], {}])
def test_a_version_that_is_no_number_is_malformed(
    record: Any, text: str, read: Callable[[str], Any], lowest: Any
) -> None:
    with pytest.raises(MessageInvalid):
        read(json.dumps({**json.loads(text), "min": lowest}))


@dataclass(frozen=True, slots=True)
class Grown(Record):
    """A record that got two fields after version 1."""

    _extras: ClassVar = ("colour", "sizes")

    text: str
    mark: str | None = None
    colour: str | None = None
    sizes: tuple[int, ...] = ()

    @classmethod
    def _revive(cls, found: dict[str, Any]) -> dict[str, Any]:
        return found | {"sizes": tuple(found.get("sizes", ()))}


@pytest.mark.parametrize(
    ("grown", "written"),
    [
        (Grown("a"), {"body": {"text": "a", "mark": None}}),
        (
            Grown("a", colour="red", sizes=(1, 2)),
            {"body": {"text": "a", "mark": None}, "extras": {"colour": "red", "sizes": [1, 2]}},
        ),
    ],
)
def test_fields_that_were_added_lie_beside_what_version_1_reads(
    grown: Grown, written: dict[str, Any]
) -> None:
    kept = grown.to_record()
    assert {name: json.loads(text) for name, text in kept.items()} == written
    assert Grown.from_record({**kept, "turn": "7"}) == grown
    assert Grown.from_json(grown.to_json()) == grown
    assert Grown.from_record({"body": kept["body"]}) == Grown("a")
    assert Grown.from_record({"body": kept["body"], "extras": '{"sizes": 7}'}) == Grown("a")


@pytest.mark.parametrize("record", [INBOUND, OUTBOUND, ROUTE], ids=KINDS[:3])
def test_version_1_is_given_nothing_that_it_refuses(record: Record) -> None:
    [first, *_] = record.to_record().values()
    assert set(json.loads(first)) == set(VERSION_1[type(record)].split())
    for file in [*json.loads(first).get("attachments", ()), *json.loads(first).get("media", ())]:
        assert set(file) == {"url", "name", "mime_type", "size"}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (SPOKEN, "role content tool_calls tool_call_id images native"),
        (CALL, "id name arguments"),
        (SPOKEN.images[0], "url mime_type"),
    ],
)
def test_version_1_is_given_no_history_that_it_refuses(value: Any, names: str) -> None:
    added = {"documents", "files"}  # never kept; kept with files alone
    assert [field.name for field in fields(value) if field.name not in added] == names.split()


def test_files_are_kept_by_their_address_and_only_where_there_are_some() -> None:
    document = Document("data:application/pdf;base64,AAAA", "a.pdf")
    file = AttachedFile("blob:x", "telegram/default", "a.png", "image/png", "image")
    message = Message("user", "look", documents=(document,), files=(file,))
    kept = encode_message(message)
    assert "AAAA" not in kept
    assert decode_message(kept) == replace(message, documents=())
    newer = kept.replace('"url":"blob:x"', '"url":"blob:x","pages":3')
    assert decode_message(newer) == replace(message, documents=())
    assert "files" not in encode_message(replace(message, files=()))

"""What each payload means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.channels.telegram.incoming import Incoming, Moved, read_update
from sigil.channels.telegram.intake import join, read_updates
from sigil.channels.telegram.message_parts import Me
from tests.channels.telegram.conftest import PAYLOADS
from tests.channels.telegram.test_errors import JSON

ME = Me(4711, "sigil_bot", frozenset({"help", "stop"}))
DIRECT: dict[str, Any] = {"chat": "42", "sender": "42", "sender_name": "A", "is_direct": True}
BEA: dict[str, Any] = {"sender": "43", "sender_name": "Bea Ba", "is_direct": False}
FORUM, GROUP = BEA | {"chat": "-1001"}, BEA | {"chat": "-1002"}

# From the payload's name to the fields that it must have; None: it is nothing for Sigil.
MEANINGS: dict[str, dict[str, Any] | None] = {
    "start_with_payload": DIRECT | {"text": "x", "message_id": "5"},
    "topic_reply_with_quote": {
        "chat": "-1001",
        "thread": "17",
        "reply_to": "4",
        "quote": "part",
        "addressed": True,
        "is_direct": False,
        "text": "@sigil_bot hi",
    },
    "album_first": DIRECT | {"text": "two pictures", "album": "138", "files": ["L1"]},
    "album_second": DIRECT | {"text": "", "album": "138", "files": ["L2"]},
    "photo": DIRECT | {"text": "look", "files": ["L3"]},
    "voice": DIRECT | {"text": "", "files": ["V"]},
    "document": DIRECT | {"text": "read this", "files": ["D"]},
    "document_too_large": DIRECT | {"files": ["BIG"]},
    "audio": DIRECT | {"files": ["AU"]},
    "video": DIRECT | {"files": ["VI"]},
    "video_note": DIRECT | {"files": ["VN"]},
    "animation": DIRECT | {"files": ["AN"]},
    "sticker": DIRECT | {"text": "\N{THUMBS UP SIGN}"},
    "location": DIRECT | {"text": "Location: 52.5, 13.4"},
    "edited": DIRECT
    | {"kind": "edit", "message_id": "5", "revision": "1795500060", "text": "fixed"},
    "rich_message_of_a_bot": {
        "from_bot": True,
        "sender": "44",
        "text": "no text field here\none two",
    },
    "own_message": None,
    "moved_from": None,
    "stopped_generation": {
        "chat": "42",
        "sender": "42",
        "kind": "command",
        "text": "/stop",
        "thread": "3",
        "is_direct": True,
    },
    "general_topic": FORUM | {"thread": None, "addressed": True},
    "reply_thread_that_is_no_topic": GROUP
    | {"thread": None, "reply_to": "21", "quote": "earlier answer", "addressed": True},
    "group_unaddressed": GROUP | {"addressed": False},
    "group_mention_by_text": GROUP | {"addressed": True},
    "group_mention_of_another": GROUP | {"addressed": False},
    "command_with_our_name": GROUP | {"addressed": True, "text": "/stop@Sigil_Bot now"},
    "command_of_another_bot": None,
    "command_in_a_group": GROUP | {"addressed": True, "text": "/help"},
    "pressed_button": GROUP
    | {"kind": "action", "text": "/approve AB12", "message_id": "q1", "reply_to": "30"}
    | {"query": "q1", "addressed": True},
    "pressed_button_of_a_deleted_message": DIRECT | {"kind": "action", "text": "/deny AB12"},
    "pressed_game": None,
    "blocked_by_a_person": None,
    "business_message": DIRECT | {"chat": "42@bc1"},
    "guest_message": None,
    "reaction": None,
    "somebody_joined": None,
    "topic_created": None,
    "channel_post": None,
    "anonymous_admin": {"sender": "-1002", "sender_name": None, "from_bot": False},
    "forwarded_from_a_channel": None,
    "private_topic": DIRECT | {"thread": "3"},
    "reply_with_other_text": GROUP | {"quote": "the earlier words", "reply_to": "24"},
    "unknown_fields": DIRECT | {"text": "hi"},
    "unknown_kind": None,
    "voice_in_a_group_reply": GROUP | {"addressed": True, "files": ["V"]},
    "pasted_first_part": DIRECT,
    "pasted_second_part": DIRECT | {"text": "the rest"},
}


def load(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def read(*names: str) -> list[Incoming | Moved | None]:
    return [read_update(each, ME) for each in read_updates([load(name) for name in names])]


@pytest.mark.parametrize("name", MEANINGS)
def test_meaning(name: str) -> None:
    (found,) = read(name)
    meaning = MEANINGS[name]
    if meaning is None:
        assert found is None
        return
    assert isinstance(found, Incoming)
    for field, value in meaning.items():
        is_file = field == "files"
        assert ([file.id for file in found.files] if is_file else getattr(found, field)) == value
    found.make_message("telegram", "default", []) if found.text else None


def test_every_payload_has_a_meaning() -> None:
    assert {path.stem for path in PAYLOADS.glob("*.json")} == MEANINGS.keys() | {"moved_to"}


def test_a_group_that_moved() -> None:
    assert read("moved_to") == [Moved("-55", "-1001234567890")]


def test_an_album_is_one_message() -> None:
    (found,) = join(read("album_first", "album_second"))  # type: ignore[arg-type]
    assert ([file.id for file in found.files], found.text) == (["L1", "L2"], "two pictures")


def test_a_pasted_text_is_one_message() -> None:
    (found,) = join(read("pasted_first_part", "pasted_second_part"))  # type: ignore[arg-type]
    assert found.text == "x" * 4096 + "the rest"


def test_what_does_not_belong_together_stays_apart() -> None:
    names = ["pasted_first_part", "group_unaddressed", "album_first", "photo", "edited"]
    assert len(join(read(*names))) == len(names)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [("@sigil_bot /stop", 10, "/stop"), ("@sigil_bot stop", 10, "@sigil_bot stop")],
)
def test_a_mention_before_a_command_is_dropped(text: str, length: int, expected: str) -> None:
    update = load("group_unaddressed")
    entity = {"type": "mention", "offset": 0, "length": length}
    update["message"] |= {"text": text, "entities": [entity]}
    (found,) = (read_update(each, ME) for each in read_updates([update]))
    assert isinstance(found, Incoming)
    assert found.text == expected


UPDATES = sorted(path.stem for path in PAYLOADS.glob("*.json"))


@given(data=st.data())
def test_a_hostile_update_is_read_or_left_out(data: st.DataObject) -> None:
    update = load(data.draw(st.sampled_from(UPDATES)))
    kind = next(key for key in update if key != "update_id")
    if isinstance(update[kind], dict):
        name = data.draw(st.sampled_from([*update[kind], "text", "entities", "photo", "quote"]))
        update[kind][name] = data.draw(JSON)
    for each in read_updates([update]):
        read_update(each, ME)

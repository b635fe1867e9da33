"""Entries of a chat's log as events of a stream."""

from sigil.channels.live import ChatEventRecord
from sigil.web.chat.events import drop_superseded


def test_drafts_that_were_overtaken_are_left_out() -> None:
    def record(id: str, kind: str, turn: str | None) -> ChatEventRecord:
        return ChatEventRecord(id, {"type": kind, "turn": turn})

    records = [
        record("1", "user", None),
        record("2", "draft", "a"),
        record("3", "draft", "a"),
        record("4", "reply", "a"),
        record("5", "reply", "a"),
        record("6", "draft", "b"),
        record("7", "draft", "b"),
    ]
    assert [each.id for each in drop_superseded(records)] == ["1", "4", "5", "7"]

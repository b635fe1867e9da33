"""Makes a process one version newer than its code: it writes fields that nobody else knows, and
what it writes of some messages only newer processes may read."""

from __future__ import annotations

import json
import re
from typing import Any

from sigil import records
from sigil.agent import ending
from sigil.outbound.receipts import ChunkState
from sigil.records import Record

VERSION = records.VERSION + 1
# Of the texts of `tests.chaos.traffic`: the fourth messages of ten chats, and all that is kept
# of one.
MESSAGES, CHATS = re.compile(r"s00\d \d*3( |$)"), re.compile(r"s000 ")


def apply() -> None:
    records.VERSION = VERSION
    write_record, write_receipt = Record.to_record, ChunkState.write_receipt
    encode_message = ending.encode_message

    def write_newer_record(self: Any) -> dict[str, str]:
        is_newer = MESSAGES.match(getattr(self, "content", "")) is not None
        first, *extras = write_record(self).items()
        return dict([(first[0], _add(first[1], is_newer=is_newer)), *extras])

    def write_newer_receipt(self: Any, item: Any, index: int) -> Any:
        receipt = write_receipt(self, item, index)
        return type(receipt)(item.id, index, _add(receipt.state, is_newer=False))

    def encode_newer_message(message: Any) -> str:
        text = message.content.rpartition("\n")[2]
        return _add(encode_message(message), is_newer=CHATS.match(text) is not None)

    Record.to_record = write_newer_record  # type: ignore[method-assign]
    ChunkState.write_receipt = write_newer_receipt  # type: ignore[method-assign]
    ending.encode_message = encode_newer_message


def _add(record: str, *, is_newer: bool) -> str:
    found = {**json.loads(record), "invented": [{"since": VERSION}]}
    return json.dumps({**found, "v": VERSION, "min": VERSION} if is_newer else found)

"""A turn's journal: what it has begun, so that a worker that takes over goes on with the same.

    [{"items": ["a", "b"]}]

The first entry names the items that the turn answers. A turn without tools writes none: nothing
happens outside Redis before its one commit that must not happen twice. So a worker that takes over
may group the messages anew, and each is still answered once. The journal begins with the first
tool; workers before that began it with each turn, and may run beside this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.records import read_record

if TYPE_CHECKING:
    from sigil.lanes.held import Held


def count_begun_items(held: Held) -> int:
    """How many items the turn that was begun answers; 0 if it has no journal. Raises
    `RecordTooNew`."""
    return len(read_record(held.journal[0])["items"]) if held.journal else 0

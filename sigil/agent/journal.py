"""A turn's journal: what it has begun, so that a worker that takes over goes on with the same.

    [{"items": ["a", "b"]}]

The first entry names the items that the turn answers. It is written under the fence before the
model is called. Without it a second worker could group the waiting messages in another way and
answer one of them twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sigil.lanes.effects import Journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.lanes.held import Held
    from sigil.lanes.lane import Item


def count_begun_items(held: Held) -> int:
    """How many items the turn that was begun answers; 0 if none was begun."""
    return len(json.loads(held.journal[0])["items"]) if held.journal else 0


def begin_journal(held: Held, items: Sequence[Item]) -> list[Journal]:
    """The effect that writes the first entry, unless it was written before."""
    if held.journal:
        return []
    return [Journal(held.lane, json.dumps({"items": [item.id for item in items]}))]

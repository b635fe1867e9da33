"""Where each chunk of a message stands: its receipt, kept in the message's record.

pending ─▶ sending ─▶ sent
             │  ├───▶ retry ──▶ sending …     it was certainly not sent; the lane rests
             │  └───▶ unknown ┐
             └────────────────┴▶ looked up, sent again, or held back
              the worker died
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sigil.lanes.effects import Receipt
from sigil.records import read_record

if TYPE_CHECKING:
    from sigil.lanes.held import Held
    from sigil.lanes.lane import Item


@dataclass(frozen=True, slots=True)
class ChunkState:
    """Where a chunk stands; `attempts` counts how often sending it was begun, without those tries
    for which the platform asked to come later.

    `in_lane`: who wrote this also notes in the lane whether the head was begun, which older
    versions do not. `doubtful`: it was sent again although it had perhaps been sent. `simpler`:
    how often the platform has refused its markup or files, and it was sent in a simpler form.
    `is_new`: it cannot take the place of another message.
    `waits` counts how often in succession the platform asked for a pause, since `waits_since`
    (seconds since 1970).
    """

    state: str = "pending"
    attempts: int = 0
    platform_id: str | None = None
    in_lane: bool = False
    doubtful: bool = False
    simpler: int = 0
    is_new: bool = False
    waits: int = 0
    waits_since: float = 0.0

    @classmethod
    def read(cls, item: Item, index: int) -> ChunkState:
        """The state that the item's record holds of chunk `index`. Raises `RecordTooNew`."""
        raw = item.fields.get(f"chunk:{index}")
        if raw is None:
            return cls()
        fields = read_record(raw)
        more = {name: fields[name] for name in _OPTIONAL if name in fields}
        return cls(fields["state"], fields["tries"], **more)

    @property
    def is_unknown(self) -> bool:
        """Whether nobody knows if it was sent."""
        return self.state in {"sending", "unknown"}

    def begin(self) -> ChunkState:
        """The state while it is being sent."""
        return replace(self, state="sending", attempts=self.attempts + 1, in_lane=False)

    def mark(self, item: Item, index: int) -> Receipt:
        """The effect that keeps, before it is sent, that it is about to be."""
        return replace(self, in_lane=True).write_receipt(item, index)

    def write_receipt(self, item: Item, index: int) -> Receipt:
        """The effect that keeps this state in the item's record."""
        fields: dict[str, Any] = {"state": self.state, "tries": self.attempts}
        fields |= {name: value for name in _OPTIONAL if (value := getattr(self, name))}
        return Receipt(item.id, index, json.dumps(fields, separators=(",", ":")))


_OPTIONAL = ("platform_id", "in_lane", "doubtful", "simpler", "is_new", "waits", "waits_since")


def read_state(held: Held, index: int, *, is_marked: bool) -> ChunkState:
    """How far chunk `index` of the lane's head has come. `is_marked`: it would have been noted in
    the record before it was sent, the first chunk too."""
    state = ChunkState.read(held.items[0], index)
    is_unmarked = index == 0 and not is_marked and state.state == "pending"
    if is_unmarked and held.again:
        return ChunkState("sending", attempts=1)  # perhaps
    if state.state == "sending" and state.in_lane and not held.again:
        return replace(state, state="pending", attempts=state.attempts - 1, in_lane=False)
    return state


def list_platform_ids(record: dict[str, str] | Any) -> list[str]:
    """The platform's ids of the messages that an outbound message has become, in their order."""
    states: dict[int, Any] = {}
    for name, raw in record.items():
        if name.startswith("chunk:"):
            states[int(name.removeprefix("chunk:"))] = read_record(raw)
    found = (states[index].get("platform_id") for index in sorted(states))
    return [platform_id for platform_id in found if platform_id]

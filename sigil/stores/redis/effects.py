"""How each effect is written for the scripts: its name, then its arguments as text.

Whatever needs a full key gets it here, from `Keys`; items and lanes are named by the scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sigil import lanes
from sigil.stores.redis.keys import Keys

DAY = 24 * 3600
SESSION_TTL = 90 * DAY
USAGE_TTL = 40 * DAY
DEAD_TTL = 30 * DAY
CHAT_TTL = 90 * DAY
MEMORY_TTL = 365 * DAY
MOST_DEAD = 10_000
MOST_AUDIT = 10_000
MOST_MEMORY = 1_000
MOST_CHAT_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes effects as the flat arguments that `_effects.lua` reads."""

    keys: Keys
    finished_ttl: int = 7 * DAY

    def encode(self, effects: Iterable[lanes.Effect]) -> list[Any]:
        flat: list[Any] = []
        for effect in effects:
            for name, args in _ENCODERS[type(effect)](self, effect):
                flat += (name, len(args), *args)
        return flat


Encoded = Iterable[tuple[str, Sequence[Any]]]


def _pairs(fields: Any) -> list[Any]:
    return [part for pair in fields.items() for part in pair]


def _push(_: Encoder, e: lanes.Push) -> Encoded:
    quiet, quiet_max = round(e.quiet * 1000), round(e.quiet_max * 1000)
    yield "push", (e.lane, e.id, e.cap, quiet, quiet_max, *_pairs(e.fields))


def _finish(encoder: Encoder, e: lanes.Finish) -> Encoded:
    ttl = DEAD_TTL if e.keep_body else encoder.finished_ttl
    yield "finish", (e.id, e.outcome.value, int(e.keep_body), ttl)


def _delivered(encoder: Encoder, e: lanes.Delivered) -> Encoded:
    ttl = encoder.finished_ttl if e.ok else DEAD_TTL
    yield "delivered", (e.id, "sent" if e.ok else "undelivered", int(not e.ok), ttl)


def _dead(_: Encoder, e: lanes.DeadLetter) -> Encoded:
    yield "dead_letter", (e.id, e.stage.value, e.reason[:500], DEAD_TTL, MOST_DEAD)


def _history(encoder: Encoder, e: lanes.AppendHistory) -> Encoded:
    yield "append", (encoder.keys.history(e.session_id), e.keep, SESSION_TTL, *e.messages)


def _session(encoder: Encoder, e: lanes.UpdateSession) -> Encoded:
    yield "set", (encoder.keys.session(e.session_key), SESSION_TTL, *_pairs(e.fields))


def _usage(encoder: Encoder, e: lanes.CountUsage) -> Encoded:
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    amounts = _pairs(e.amounts)
    yield "count", (encoder.keys.session(e.session_key), SESSION_TTL, *amounts)
    yield "count", (encoder.keys.usage("user", e.user_id, day), USAGE_TTL, *amounts)
    yield "count", (encoder.keys.usage("workspace", e.workspace_id, day), USAGE_TTL, *amounts)


def _remember(encoder: Encoder, e: lanes.Remember) -> Encoded:
    yield "append", (encoder.keys.memory(e.workspace_id), MOST_MEMORY, MEMORY_TTL, *e.entries)


def _audit(encoder: Encoder, e: lanes.Audit) -> Encoded:
    yield "append", (encoder.keys.audit(), MOST_AUDIT, MEMORY_TTL, e.entry)


def _show(encoder: Encoder, e: lanes.Show) -> Encoded:
    stream, seen = encoder.keys.chat(e.chat), encoder.keys.chat_seen(e.chat)
    yield "show", (stream, seen, e.event_id, e.entry, MOST_CHAT_EVENTS, CHAT_TTL)


_ENCODERS: dict[type, Callable[[Encoder, Any], Encoded]] = {
    lanes.Push: _push,
    lanes.Accept: lambda _, e: [("accept", (e.id,))],
    lanes.Finish: _finish,
    lanes.Delivered: _delivered,
    lanes.DeadLetter: _dead,
    lanes.Notice: lambda _, e: [("notice", (e.lane,))],
    lanes.Stop: lambda _, e: [("stop", (e.lane,))],
    lanes.Journal: lambda _, e: [("journal", (e.lane, e.entry))],
    lanes.Receipt: lambda _, e: [("receipt", (e.id, e.index, e.state))],
    lanes.AppendHistory: _history,
    lanes.UpdateSession: _session,
    lanes.CountUsage: _usage,
    lanes.Remember: _remember,
    lanes.Audit: _audit,
    lanes.Show: _show,
}

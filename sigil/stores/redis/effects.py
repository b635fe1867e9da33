"""How each effect is written for the scripts: its name, then its arguments as text.

Whatever needs a full key gets it here, from `Keys`; items and lanes are named by the scripts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sigil import effects as fx
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

    def encode(self, effects: Iterable[fx.Effect]) -> list[Any]:
        flat: list[Any] = []
        for effect in effects:
            for name, args in _ENCODERS[type(effect)](self, effect):
                flat += (name, len(args), *args)
        return flat


Encoded = Iterable[tuple[str, Sequence[Any]]]


def _pairs(fields: Any) -> list[Any]:
    return [part for pair in fields.items() for part in pair]


def _push(_: Encoder, e: fx.Push) -> Encoded:
    quiet, quiet_max = round(e.quiet * 1000), round(e.quiet_max * 1000)
    yield "push", (e.lane, e.id, e.cap, quiet, quiet_max, *_pairs(e.fields))


def _finish(encoder: Encoder, e: fx.Finish) -> Encoded:
    ttl = DEAD_TTL if e.keep_body else encoder.finished_ttl
    yield "finish", (e.id, e.outcome.value, int(e.keep_body), ttl)


def _delivered(encoder: Encoder, e: fx.Delivered) -> Encoded:
    ttl = encoder.finished_ttl if e.ok else DEAD_TTL
    yield "delivered", (e.id, "sent" if e.ok else "undelivered", int(not e.ok), ttl)


def _dead(_: Encoder, e: fx.DeadLetter) -> Encoded:
    yield "dead_letter", (e.id, e.stage.value, e.reason[:500], DEAD_TTL, MOST_DEAD)


def _history(encoder: Encoder, e: fx.AppendHistory) -> Encoded:
    yield "append", (encoder.keys.history(e.session_id), e.keep, SESSION_TTL, *e.messages)


def _session(encoder: Encoder, e: fx.UpdateSession) -> Encoded:
    yield "set", (encoder.keys.session(e.session_key), SESSION_TTL, *_pairs(e.fields))


def _usage(encoder: Encoder, e: fx.CountUsage) -> Encoded:
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    amounts = _pairs(e.amounts)
    yield "count", (encoder.keys.session(e.session_key), SESSION_TTL, *amounts)
    yield "count", (encoder.keys.usage("user", e.user_id, day), USAGE_TTL, *amounts)
    yield "count", (encoder.keys.usage("workspace", e.workspace_id, day), USAGE_TTL, *amounts)


def _audit(encoder: Encoder, e: fx.Audit) -> Encoded:
    yield "append", (encoder.keys.audit(), MOST_AUDIT, MEMORY_TTL, e.entry)


def _show(encoder: Encoder, e: fx.Show) -> Encoded:
    stream, seen = encoder.keys.chat(e.chat), encoder.keys.chat_seen(e.chat)
    yield "show", (stream, seen, e.event_id, e.entry, MOST_CHAT_EVENTS, CHAT_TTL)


_ENCODERS: dict[type, Callable[[Encoder, Any], Encoded]] = {
    fx.Push: _push,
    fx.Accept: lambda _, e: [("accept", (e.id,))],
    fx.Finish: _finish,
    fx.Delivered: _delivered,
    fx.DeadLetter: _dead,
    fx.Notice: lambda _, e: [("notice", (e.lane,))],
    fx.Stop: lambda _, e: [("stop", (e.lane,))],
    fx.Journal: lambda _, e: [("journal", (e.lane, e.entry))],
    fx.Receipt: lambda _, e: [("receipt", (e.id, e.index, e.state))],
    fx.AppendHistory: _history,
    fx.UpdateSession: _session,
    fx.CountUsage: _usage,
    fx.Audit: _audit,
    fx.Show: _show,
}

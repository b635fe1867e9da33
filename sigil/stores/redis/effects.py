"""How effects are written for the scripts: a name, the number of arguments, the arguments.

`lua/_effects.lua` reads this flat form. It is smaller than JSON, texts need no second encoding, and
Lua's `unpack` sets no limit to it. Keys of sessions, usage, chats and the audit log are made here,
by `Keys`; the scripts name items and lanes themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sigil.lanes.effects import (
    Accept,
    Admit,
    Amend,
    Audit,
    CountUsage,
    DeadLetter,
    Delivered,
    Effect,
    EndWait,
    Finish,
    Journal,
    Move,
    Notice,
    Push,
    Receipt,
    ReportKey,
    Show,
    Stop,
    Wait,
    WriteSession,
)
from sigil.stores.redis.bounds import (
    AUDIT_TTL,
    CHAT_TTL,
    DEAD_LETTER_TTL,
    LEAST_PROOF_TTL,
    MOST_AUDIT_ENTRIES,
    MOST_CHAT_EVENTS,
    MOST_DEAD_LETTERS,
    RECEIPT_TTL,
    REPORT_KEY_TTL,
    SESSION_TTL,
    USAGE_TTL,
)
from sigil.stores.redis.keys import Keys
from sigil.stores.redis.users import encode_user

_LONGEST_REASON = 500

Commands = Iterable[tuple[str, Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Encoder:
    """Writes effects as the flat arguments that `lua/_effects.lua` reads. A handled message is
    known for `proof_ttl` seconds more."""

    keys: Keys
    proof_ttl: int = LEAST_PROOF_TTL

    def encode(self, effects: Iterable[Effect]) -> list[Any]:
        """All effects in one list. Most become one command, and `CountUsage` becomes two."""
        flat: list[Any] = []
        for effect in effects:
            for name, args in _ENCODERS[type(effect)](self, effect):
                flat += (name, len(args), *args)
        return flat


def _encode_push(encoder: Encoder, push: Push) -> Commands:
    quiet, quiet_max = round(push.quiet * 1000), round(push.quiet_max * 1000)
    session = encoder.keys.session(push.session) if push.session else ""
    fields = _flatten(push.fields)
    yield "push", (push.lane, push.id, push.cap, quiet, quiet_max, session, *fields)


def _encode_admission(encoder: Encoder, admit: Admit) -> Commands:
    keys, identity, user = encoder.keys, admit.identity, admit.user
    held = keys.identity(identity.channel, identity.platform_id)
    pairing = keys.pairing(admit.entry or identity.channel, identity.platform_id)
    record = encode_user(user) if admit.new else ""
    people = keys.user(user.id), keys.users(), held, pairing, keys.pairings_of(user.id)
    yield "admit", (*people, user.id, record, json.dumps([held]))


def _encode_finish(encoder: Encoder, finish: Finish) -> Commands:
    ttl = max(DEAD_LETTER_TTL, encoder.proof_ttl) if finish.keep_body else encoder.proof_ttl
    yield "finish", (finish.id, finish.outcome.value, int(finish.keep_body), ttl)


def _encode_delivery_end(_: Encoder, delivered: Delivered) -> Commands:
    if delivered.ok:
        yield "delivered", (delivered.id, "sent", 0, RECEIPT_TTL)
    else:
        yield "delivered", (delivered.id, "undelivered", 1, DEAD_LETTER_TTL)


def _encode_dead_letter(_: Encoder, letter: DeadLetter) -> Commands:
    reason = letter.reason[:_LONGEST_REASON]
    stage = letter.stage.value
    yield "dead_letter", (letter.id, stage, reason, DEAD_LETTER_TTL, MOST_DEAD_LETTERS)


def _encode_report_key(encoder: Encoder, named: ReportKey) -> Commands:
    key = encoder.keys.report(named.account, named.key)
    yield "report_key", (key, named.id, named.index, REPORT_KEY_TTL)


def _encode_session(encoder: Encoder, write: WriteSession) -> Commands:
    keys = encoder.keys.session(write.session_key), encoder.keys.history(write.session_id)
    amounts = _flatten({"version": 1, **write.amounts})
    fields = _flatten(write.fields)
    # Seven arguments come before the amounts, and Lua counts from 1.
    first_field = 8 + len(amounts)
    positions = first_field, first_field + len(fields)
    bounds = write.version, SESSION_TTL, write.keep
    yield "session", (*keys, *bounds, *positions, *amounts, *fields, *write.messages)


def _encode_usage(encoder: Encoder, usage: CountUsage) -> Commands:
    keys, amounts = encoder.keys, _flatten(usage.amounts)
    yield "count", (keys.usage("user", usage.user_id, ""), USAGE_TTL, *amounts)
    yield "count", (keys.usage("workspace", usage.workspace_id, ""), USAGE_TTL, *amounts)


def _encode_audit(encoder: Encoder, audit: Audit) -> Commands:
    yield "append", (encoder.keys.audit(), MOST_AUDIT_ENTRIES, AUDIT_TTL, audit.entry)


def _encode_stop(_: Encoder, stop: Stop) -> Commands:
    seen = () if stop.waiting is None else (stop.waiting, stop.token)
    yield "stop", (stop.lane, *seen)


def _encode_show(encoder: Encoder, show: Show) -> Commands:
    stream, shown = encoder.keys.chat(show.chat), encoder.keys.chat_event_ids(show.chat)
    yield "show", (stream, shown, show.event_id, show.entry, MOST_CHAT_EVENTS, CHAT_TTL)


def _flatten(fields: Any) -> list[Any]:
    return [part for pair in fields.items() for part in pair]


_ENCODERS: dict[type, Callable[[Encoder, Any], Commands]] = {
    Push: _encode_push,
    Accept: lambda _, accept: [("accept", (accept.id,))],
    Admit: _encode_admission,
    Amend: lambda _, amend: [("amend", (amend.id, amend.lane, *_flatten(amend.fields)))],
    Finish: _encode_finish,
    Delivered: _encode_delivery_end,
    DeadLetter: _encode_dead_letter,
    Notice: lambda _, notice: [("notice", (notice.lane, notice.chat))],
    Stop: _encode_stop,
    Wait: lambda _, wait: [("wait", (wait.lane, round(wait.seconds * 1000)))],
    EndWait: lambda _, end: [("end_wait", (end.lane,))],
    Move: lambda _, move: [("move", (move.lane, move.target))],
    Journal: lambda _, journal: [("journal", (journal.lane, journal.entry))],
    Receipt: lambda _, receipt: [("receipt", (receipt.id, receipt.index, receipt.state))],
    ReportKey: _encode_report_key,
    WriteSession: _encode_session,
    CountUsage: _encode_usage,
    Audit: _encode_audit,
    Show: _encode_show,
}

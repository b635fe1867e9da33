"""The session of a held lane, in memory from one turn to the next.

    hold ─▶ load ─▶ turn, commit ─▶ follow ─▶ turn, commit ─▶ follow ─▶ … ─▶ the hold ends

While a lane is held, nobody else runs turns of its session, so the second turn of a hold need not
load and decode it again: what its commit changed is known. Should somebody else write the session
all the same, its version tells: the next commit is refused as stale, and the turn loads it again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from sigil.errors import MessageInvalid
from sigil.lanes.effects import WriteSession
from sigil.messages.conversation import decode_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sigil.lanes.effects import Effect
    from sigil.lanes.held import Held
    from sigil.messages.conversation import Message
    from sigil.sessions import SessionRecord, SessionStore


log = structlog.get_logger(__name__)


class KeptSession:
    """A session's record as it is stored, and its history, each message of it decoded once."""

    def __init__(self, record: SessionRecord, past: Sequence[Message | None] = ()) -> None:
        self.record = record
        self._past = list(past)  # of the first messages of the record; None: it is malformed

    def read_past(self) -> Sequence[Message]:
        """The history, oldest first. A malformed message is left out: it must not keep the
        conversation from going on. Raises `RecordTooNew`."""
        for text in self.record.messages[len(self._past) :]:
            try:
                self._past.append(decode_message(text))
            except MessageInvalid as error:
                log.warning("a message of the history left out", reason=str(error))
                self._past.append(None)
        return [message for message in self._past if message is not None]

    def follow(self, effects: Iterable[Effect]) -> KeptSession | None:
        """The session after a commit of these effects; None if it has to be loaded for that."""
        kept: KeptSession | None = self
        for effect in effects:
            if isinstance(effect, WriteSession):
                kept = kept and kept._write(effect)
        return kept

    def _write(self, write: WriteSession) -> KeptSession | None:
        record = self.record
        if write.fields or (write.session_key, write.session_id) != (record.key, record.id):
            return None
        messages = (*record.messages, *write.messages)
        # An append of nothing trims nothing.
        gone = max(0, len(messages) - write.keep) if write.messages else 0
        changed = replace(
            record,
            messages=messages[gone:],
            version=record.version + 1,
            input_tokens=record.input_tokens + write.amounts.get("input_tokens", 0),
            output_tokens=record.output_tokens + write.amounts.get("output_tokens", 0),
        )
        return KeptSession(changed, self._past[gone:])


async def load_session(
    held: Held, key: str, epoch: int | None, sessions: SessionStore
) -> KeptSession:
    """The session of a lane in hand, from memory if it is there. None: the current epoch's."""
    kept = held.memo
    if isinstance(kept, KeptSession) and kept.record.key == key:
        record = kept.record
        if record.epoch == epoch or (epoch is None and not record.is_over):
            return kept
    held.memo = kept = KeptSession(await sessions.load(key, epoch))
    return kept

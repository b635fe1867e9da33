"""What is kept of a thread of mails, so that a reply goes below the mail that it answers: its
subject, the ids so far, and when it was answered lately.

    t:ADDRESS:ROOT   the thread with somebody; ROOT is the id of its first mail
    s:ID             the thread of a mail that we sent, for readers that name only that one
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sigil.channels.email.mail import Mail
    from sigil.channels.notes import NoteStore

KEPT_S = 90 * 24 * 3600
MOST_IDS = 50
MOST_IN_AN_HOUR, HOUR_S = 10, 3600.0
_LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Thread:
    """`ids` are those of its mails, without brackets, the oldest first; `taken` are the times of
    the mails that were handed in during the last hour, in seconds since the epoch."""

    subject: str = ""
    ids: tuple[str, ...] = ()
    taken: tuple[float, ...] = ()

    def is_busy(self, now: float) -> bool:
        """Whether so many mails came within an hour that the other side may be a machine."""
        return len([at for at in self.taken if at > now - HOUR_S]) >= MOST_IN_AN_HOUR

    def add(self, mail: Mail, subject: str, now: float) -> Thread:
        """The thread with one more mail, which was handed in now."""
        ids = tuple(dict.fromkeys((*mail.ancestors, *self.ids, mail.message_id)))
        # The mail itself comes last, also when it is taken a second time.
        ids = (*(each for each in ids if each != mail.message_id), mail.message_id)
        if len(ids) > MOST_IDS:
            ids = (ids[0], *ids[1 - MOST_IDS :])
        recent = tuple(at for at in self.taken if at > now - HOUR_S)
        return replace(
            self, subject=self.subject or subject, ids=ids, taken=(*recent, now)[-MOST_IN_AN_HOUR:]
        )


class Threads:
    """The threads of one account."""

    def __init__(self, notes: NoteStore, entry: str) -> None:
        self._notes = notes
        self._entry = entry

    async def find_id(self, mail: Mail) -> str:
        """The id of the thread that a mail belongs to. Raises `StoreError`."""
        for ancestor in _list_likely(mail):
            known = await self._notes.get(self._entry, f"s:{_shorten(ancestor)}")
            if known:
                return known
        return _shorten(mail.ancestors[0] if mail.ancestors else mail.message_id)

    async def load(self, address: str, thread_id: str) -> Thread:
        """The thread, or an empty one. Raises `StoreError`."""
        found = await self._notes.get(self._entry, f"t:{address}:{thread_id}")
        if found is None:
            return Thread()
        fields: dict[str, Any] = json.loads(found)
        return Thread(fields["subject"], tuple(fields["ids"]), tuple(fields["taken"]))

    async def save(self, address: str, thread_id: str, thread: Thread) -> None:
        """Keeps it from now on for `KEPT_S`. Raises `StoreError`."""
        fields = {"subject": thread.subject, "ids": thread.ids, "taken": thread.taken}
        text = json.dumps(fields, ensure_ascii=False)
        await self._notes.put(self._entry, f"t:{address}:{thread_id}", text, seconds=KEPT_S)

    async def note_sent(self, message_id: str, thread_id: str) -> None:
        """Remembers to which thread a mail of ours belongs. Raises `StoreError`."""
        key = f"s:{_shorten(message_id)}"
        await self._notes.put(self._entry, key, thread_id, seconds=KEPT_S)


def _list_likely(mail: Mail) -> Sequence[str]:
    """The ids that may be of mails of ours: the nearest two, and the parent that is named alone."""
    near = [*mail.ancestors[-2:]]
    return near if mail.parent is None or mail.parent in near else [*near, mail.parent]


def _shorten(message_id: str) -> str:
    """An id that fits into a message's `thread_id`."""
    if len(message_id.encode()) <= _LONGEST_ID:
        return message_id
    return f"sha256-{hashlib.sha256(message_id.encode()).hexdigest()}"

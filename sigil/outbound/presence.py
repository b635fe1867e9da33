"""What a running turn shows before its reply. Drafts are best effort; only the reply counts.

In a live chat:

    model stream ── add ──▶ text ──┐
    model stream ── add ──▶ text ──┼── one writer for all turns, at its own pace ──▶ ChatStore.draft
    model stream ── add ──▶ text ──┘

No stream waits for the store. A draft is always the whole text so far, under the lease's fencing
token and a rising revision, so that the store can drop one that comes late or from a worker that
lost its lease. What grows while the writer is busy or rests is shown with the next draft, so a
process that has many turns shows each of them less often.

On a platform the same writer keeps a record of each turn instead (`sigil.channels.presences`), once
a second, and every few seconds while nothing grows; outbound processes show it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context

import structlog

from sigil.channels.live import ChatStore, DraftUpdate
from sigil.channels.presences import PresencePlace, PresenceStore, PresenceUpdate
from sigil.errors import StoreError
from sigil.messages.exchange import clean

log = structlog.get_logger(__name__)

SHORTEST_PAUSE_S = 0.1
# A draft is written whole, so a long one is written less often: a turn costs the store about this
# many bytes a second at most.
BYTES_PER_SECOND = 50_000
# The drafts of all turns of this process. A draft costs about as much as reading a token.
DRAFTS_PER_SECOND = 1_000
# The store does nothing else while it writes those of one round trip.
DRAFTS_AT_ONCE = 32
# Characters of a draft that are shown on a platform: the newest ones.
MOST_SHOWN = 20_000
# On a platform: from one draft to the next, and from one sign of life to the next.
SHOWN_PAUSE_S, ALIVE_EVERY_S = 1.0, 4.0


class DraftWriter:
    """Writes the drafts of this process's turns, as they grow."""

    def __init__(self, chats: ChatStore, presences: PresenceStore | None = None) -> None:
        self._chats = chats
        self._presences = presences
        self._grown: dict[Draft, None] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, draft: Draft) -> None:
        """Has a draft written that has changed: at once, or when it is its time."""
        self._grown[draft] = None
        if self._writing is None:
            # In a context of its own: it is no part of the turn that happens to start it.
            self._writing = asyncio.create_task(self._write(), context=Context())

    def forget(self, draft: Draft) -> None:
        """Does not write this draft again."""
        self._grown.pop(draft, None)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._grown:
                started = loop.time()
                count = 0
                while due := self._take_due(started):
                    count += len(due)
                    await self.write_now(due)
                pause = max(SHORTEST_PAUSE_S, count / DRAFTS_PER_SECOND)
                await asyncio.sleep(max(0.0, started + pause - loop.time()))
        finally:
            self._writing = None

    def _take_due(self, now: float) -> list[Draft]:
        due = [draft for draft in self._grown if draft.due <= now][:DRAFTS_AT_ONCE]
        for draft in due:
            if not draft.is_kept:
                del self._grown[draft]
        return due

    async def write_now(self, drafts: Sequence[Draft]) -> None:
        """Writes these drafts as they are, in one round trip. That is not tried again."""
        updates = [draft.take_update() for draft in drafts]
        live = [each for each in updates if isinstance(each, DraftUpdate)]
        shown = [each for each in updates if not isinstance(each, DraftUpdate)]
        try:
            if live:
                await self._chats.draft(live)
            if shown and self._presences is not None:
                await self._presences.write(shown)
        except StoreError as error:
            log.debug("drafts not written", count=len(drafts), reason=error.code)


class Draft:
    """The draft of one turn in one live chat: it `answers` the messages with these ids. Without a
    `writer` nobody is watching."""

    def __init__(
        self,
        writer: DraftWriter | None,
        chat: str,
        turn: str,
        token: int,
        answers: tuple[str, ...] = (),
    ) -> None:
        self._writer = writer
        self._chat = chat
        self._turn = turn
        self._token = token
        self._answers = answers
        self._broke_off: tuple[str, ...] = ()
        self._revision = 0
        self.text = ""
        self.due = 0.0  # not written before, by the loop's clock
        self.is_kept = False  # it is written again and again

    def add(self, text: str) -> None:
        """Appends a piece of the answer."""
        if self._writer is not None and text:
            self.text += text
            self._writer.note(self)

    def restart(self, broke_off: tuple[str, ...] = ()) -> None:
        """Empties the draft: the answer starts over, since these models have broken off."""
        if self._writer is not None and self.text:
            self.text, self._broke_off = "", broke_off
            self._writer.note(self)

    def take_update(self) -> DraftUpdate | PresenceUpdate:
        """The draft as it is now, under its next revision."""
        self._revision += 1
        self.due = asyncio.get_running_loop().time() + len(self.text) / BYTES_PER_SECOND
        return DraftUpdate(
            self._chat,
            self._turn,
            self._token,
            self._revision,
            clean(self.text),
            self._answers,
            self._broke_off,
        )

    async def clear(self) -> None:
        """Takes back what is shown of it, and ends it: the answer begins anew later."""
        writer = self._writer
        self.close()
        if writer is not None and self._revision and self.text:
            self.text = ""
            await writer.write_now([self])

    def close(self) -> None:
        """Ends the draft. One that is on its way to the store may still arrive there; it is
        dropped if the reply is there first."""
        if self._writer is not None:
            self._writer.forget(self)
            self._writer = None


class ShownDraft(Draft):
    """The draft of one turn on a platform, from the moment when the turn begins."""

    def __init__(self, writer: DraftWriter, place: PresencePlace, turn: str, token: int) -> None:
        super().__init__(writer, "", turn, token)
        self._place = place
        self._is_over = False
        self._written_at = 0.0
        self.is_kept = True
        writer.note(self)

    def add(self, text: str) -> None:
        """Appends a piece of the answer."""
        self.text += text
        self._note_change()

    def restart(self, broke_off: tuple[str, ...] = ()) -> None:
        """Empties the draft: the answer starts over."""
        self.text = ""
        self._note_change()

    def _note_change(self) -> None:
        self.due = self._written_at + SHOWN_PAUSE_S

    def take_update(self) -> PresenceUpdate:
        """The draft as it is now, under its next revision."""
        self._revision += 1
        self._written_at = asyncio.get_running_loop().time()
        self.due = self._written_at + ALIVE_EVERY_S
        return PresenceUpdate(
            self._turn,
            self._place,
            self._token,
            self._revision,
            clean(self.text[-MOST_SHOWN:]),
            self._is_over,
        )

    async def clear(self) -> None:
        """Ends the draft. What was shown of it stays until the answer replaces it."""
        self.close()

    def close(self) -> None:
        """Ends the draft: with the next write, nothing more is shown."""
        if not self._is_over and self._writer is not None:
            self._is_over, self.is_kept, self.due = True, False, 0.0
            self._writer.note(self)

"""Shows running turns on their platforms: a draft that grows, or that somebody is typing.

    every second ─▶ turns that are due ─▶ side by side: draft changed?  ─▶ show_draft
                                                        typing is over? ─▶ show_typing

Best effort: what fails is not tried again, the next second brings something newer. A call for
a turn ends before its answer is sent, so no draft overtakes the answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from sigil.channels.base import Place, ShowsDrafts, ShowsTyping
from sigil.channels.paces import SHORT_WAIT_S
from sigil.channels.render import render
from sigil.errors import ChannelNotFound, SendFailed, SigilError, StoreError

if TYPE_CHECKING:
    from sigil.channels.base import ChannelSpec, DraftKind
    from sigil.channels.paces import Paces
    from sigil.channels.presences import DuePresence, PresencePlace, PresenceStore
    from sigil.channels.router import ChannelRouter, Entry

log = structlog.get_logger(__name__)

SHOW_EVERY_S = 1.0
MOST_AT_ONCE = 100
SHOW_WITHIN_S = 5.0
# The end of a call is noted by then, also of one that was cut off.
BUSY_S = SHOW_WITHIN_S + 1.0
# A draft without words: the answer begins anew.
NOTHING_YET = "…"
SHOWN_BY_CALL = "-"  # in place of a message's id


def find_draft_kind(spec: ChannelSpec, *, is_direct: bool) -> DraftKind:
    """How drafts are shown in such a chat."""
    return spec.drafts if is_direct else spec.group_drafts


def shows_anything(spec: ChannelSpec) -> bool:
    """Whether such a channel shows anything of a running turn, besides a live chat's event log."""
    return bool(spec.typing_seconds) or {spec.drafts, spec.group_drafts} != {"none"}


class Presences:
    """Shows the turns of all agent workers; every outbound process has one."""

    def __init__(self, channels: ChannelRouter, store: PresenceStore, paces: Paces) -> None:
        self._channels = channels
        self._store = store
        self._paces = paces

    async def keep_showing(self) -> None:
        """Shows what is due, once a second, until cancelled. Returns at once if no channel shows
        anything."""
        if not any(shows_anything(entry.spec) for entry in self._channels.entries):
            return
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self.show_due()
            except StoreError as error:
                log.debug("presences not read", reason=error.code)
            await asyncio.sleep(max(0.0, started + SHOW_EVERY_S - loop.time()))

    async def show_due(self) -> None:
        """Shows each turn that is due. Raises `StoreError` if they cannot be read."""
        due = await self._store.take_due(MOST_AT_ONCE, busy_s=BUSY_S)
        await asyncio.gather(*map(self._show, due))

    async def _show(self, presence: DuePresence) -> None:
        shown, is_typing, is_lost = None, False, False
        try:
            async with asyncio.timeout(SHOW_WITHIN_S):
                shown, is_typing = await self._call(presence)
        except (SigilError, TimeoutError) as error:
            is_unknown = not isinstance(error, SendFailed) or error.outcome_unknown
            is_lost = presence.shown is None and is_unknown and bool(presence.text)
            log.debug("turn not shown", turn_id=presence.turn, reason=type(error).__name__)
        except Exception:  # a plug-in's defect costs the draft, not the process
            log.exception("turn not shown", turn_id=presence.turn)
        try:
            await self._store.note_shown(
                presence, shown=shown, is_typing=is_typing, is_lost=is_lost
            )
        except StoreError as error:
            log.debug("presence not noted", turn_id=presence.turn, reason=error.code)

    async def _call(self, presence: DuePresence) -> tuple[str | None, bool]:
        """Returns the message in which the draft is now, and whether typing was shown."""
        where = presence.place
        try:
            entry = self._channels.find(where.channel_type, where.account)
        except ChannelNotFound:  # of another configuration
            return None, False
        spec, sender = entry.spec, entry.sender
        place = Place(where.channel_id, where.thread_id, where.is_direct)
        kind = find_draft_kind(spec, is_direct=where.is_direct)
        text = presence.text or (NOTHING_YET if presence.shown else "")
        if kind != "none" and isinstance(sender, ShowsDrafts) and text:
            if presence.is_lost or not presence.is_new or not await self._may_edit(entry, where):
                return None, False
            shown = None if presence.shown == SHOWN_BY_CALL else presence.shown
            rendered = render(text, spec)[-1]
            shown = await sender.show_draft(place, presence.turn, rendered, shown)
            return shown or SHOWN_BY_CALL, False
        is_due = presence.typing_ago >= spec.typing_seconds - SHOW_EVERY_S
        if spec.typing_seconds and isinstance(sender, ShowsTyping) and is_due:
            await sender.show_typing(place)
            return None, True
        return None, False

    async def _may_edit(self, entry: Entry, where: PresencePlace) -> bool:
        """Whether the platform's limits allow one more message or edit now. A draft that has a call
        of its own is neither."""
        spec, pace = entry.spec, entry.spec.pace
        chat_s = pace.chat if where.is_direct else pace.group
        if find_draft_kind(spec, is_direct=where.is_direct) == "call" or not (
            chat_s or pace.account
        ):
            return True
        turn = await self._paces.take_turn(
            entry.name, where.channel_id, chat_s=chat_s, account_s=pace.account
        )
        return turn.seconds <= SHORT_WAIT_S


def read_replaced(shown: str | None) -> str | None:
    """The message in which a draft was shown, if it was shown in one."""
    return None if shown == SHOWN_BY_CALL else shown

"""Chats that have another id by now, as Telegram's groups that become supergroups.

The overlay of the directory keeps the new id, so every step knows it at no cost. What was bound to
the old id is bound to the new one as well, and what is still sent to the old id goes there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from sigil.errors import StoreError
from sigil.lanes.lane import LaneKind

if TYPE_CHECKING:
    from datetime import date

    from sigil.directory import Directory, DirectoryStore, Overlay
    from sigil.lanes.lane import Lanes
    from sigil.messages.exchange import InboundMessage, OutboundMessage

log = structlog.get_logger(__name__)

# After this no turn can be under way any more that knows the old id alone.
KEPT_FOR = timedelta(days=90)
MOST_KEPT = 1000
MOST_TRIES = 5


async def find_lane(lanes: Lanes, message: InboundMessage | OutboundMessage) -> str:
    """The delivery lane of the chat that the message goes to, or came from."""
    return await lanes.key(
        LaneKind.DELIVERY,
        message.channel_type,
        message.account,
        message.channel_id,
        message.thread_id or "",
    )


def leads_back(directory: Directory, entry: str, old_id: str, new_id: str) -> bool:
    """Whether `new_id` cannot be the new id of a chat of the account `entry`: it is its own, or
    that chat has moved to this one."""
    return not new_id or old_id in (new_id, directory.find_chat(entry, new_id))


async def note_move(
    store: DirectoryStore, directory: Directory, entry: str, old_id: str, new_id: str
) -> None:
    """Keeps that a chat of the account `entry` has the id `new_id` by now. Raises `StoreError`."""
    for _ in range(MOST_TRIES):
        overlay = await store.load()
        changed = _add_move(overlay, directory, entry, old_id, new_id)
        if changed == overlay or await store.save(changed, over=overlay.version):
            log.info("chat moved", channel=entry)
            return
    raise StoreError("the grants were written by others all the time.")


def _add_move(
    overlay: Overlay, directory: Directory, entry: str, old_id: str, new_id: str
) -> Overlay:
    known = overlay.moved.get((entry, old_id))
    if known is not None and known[0] == new_id:
        return overlay
    today = datetime.now(UTC).date()
    moved = {**_drop_old(overlay, today), (entry, old_id): (new_id, today)}
    bindings = dict(overlay.bindings)
    workspace = directory.workspaces.find_bound(entry, old_id)
    if workspace is not None and directory.workspaces.find_bound(entry, new_id) is None:
        bindings[entry, new_id] = workspace
    return replace(overlay, moved=moved, bindings=bindings)


def _drop_old(overlay: Overlay, today: date) -> dict[tuple[str, str], tuple[str, date]]:
    kept = {chat: to for chat, to in overlay.moved.items() if today - to[1] < KEPT_FOR}
    return dict(list(kept.items())[-MOST_KEPT + 1 :])

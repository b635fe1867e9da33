"""What is heard at all, before anything is stored.

message ─▶ of a bot?            not heard
        ─▶ in a group, to others than Sigil?    not heard, unless the account hears all there;
        │                                       kept as context if its workspace wants that
        ─▶ too many in this group?              not heard: two machines may be talking
        └▶ the sender writes too much?          waits in its chat's lane, or is refused
                                                (`find_limit`; the push decides)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import structlog

from sigil.lanes.effects import Limit

if TYPE_CHECKING:
    from sigil.directory import Directory
    from sigil.lanes.lane import Lanes
    from sigil.messages.exchange import InboundMessage

log = structlog.get_logger(__name__)

MOST_PER_WINDOW = 20
WINDOW_S = 60
LONGEST_OVERHEARD = 1_000


class GroupStore(Protocol):
    """What is kept of groups for a short time. `group` is an opaque id."""

    async def count_message(self, group: str, message: str, *, seconds: int) -> int:
        """Counts a message; returns which one of this window of `seconds` it is. One that comes
        again, since it was not accepted, stays which one it was."""
        ...

    async def keep_overheard(self, group: str, name: str, words: str, *, most: int) -> None:
        """Keeps what somebody said to others, the last `most` of it, for a day."""
        ...

    async def list_overheard(self, group: str, most: int) -> Sequence[tuple[str, str]]:
        """The last things that were said to others, oldest first: names and words."""
        ...

    async def forget_overheard(self, group: str, count: int) -> None:
        """Forgets the oldest `count` of them."""
        ...


async def name_group(lanes: Lanes, message: InboundMessage) -> str:
    """The opaque id of the group (and thread) that a message was written in."""
    place = message.channel_type, message.account, message.channel_id, message.thread_id or ""
    return await lanes.item_id("group", *place)


class Gate:
    """Decides whether a message is heard."""

    def __init__(self, groups: GroupStore, lanes: Lanes) -> None:
        self._groups = groups
        self._lanes = lanes

    async def admits(self, message: InboundMessage, item_id: str, directory: Directory) -> bool:
        """Whether the message goes any further. Costs nothing in direct chats. Raises
        `StoreError`."""
        if message.from_bot:
            log.info("not heard", why="a bot wrote it", entry=message.entry)
            return False
        if message.is_direct:
            return True
        if not message.addressed and not directory.account(message.entry).hears_all:
            await self._overhear(message, directory)
            return False
        return await self._count(message, item_id)

    async def find_limit(self, message: InboundMessage, directory: Directory) -> Limit | None:
        """How much the sender of a message may write; None: there is no limit.

        In a group nothing waits: what is over the rate is refused. The lane belongs to all who
        write there, so what waits would hold up the others, and whoever took it out of the lane
        would change the order of the chat."""
        limits = directory.limits
        if limits.messages_per_minute is None or limits.burst is None:
            return None
        who = message.channel_type, message.account, message.sender_id
        sender = await self._lanes.item_id("sender", *who)
        most_waiting = directory.lanes.cap if message.is_direct else 0
        return Limit(sender, limits.messages_per_minute, limits.burst, most_waiting)

    async def _overhear(self, message: InboundMessage, directory: Directory) -> None:
        table = directory.workspaces
        bound = table.find_bound(message.entry, message.channel_id, message.space)
        most = 0 if bound is None else table.config(bound).context
        if most and message.content and message.kind == "message":
            name = message.sender_name or message.sender_id
            words = message.content[:LONGEST_OVERHEARD]
            group = await name_group(self._lanes, message)
            await self._groups.keep_overheard(group, name, words, most=most)

    async def _count(self, message: InboundMessage, item_id: str) -> bool:
        place = message.channel_type, message.account, message.channel_id
        group = await self._lanes.item_id("group", *place)
        count = await self._groups.count_message(group, item_id, seconds=WINDOW_S)
        if count == MOST_PER_WINDOW + 1:  # once a window
            log.warning("group is too loud", entry=message.entry, most=MOST_PER_WINDOW)
        return count <= MOST_PER_WINDOW

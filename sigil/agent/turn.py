"""The turn: what is answered, for whom, and what is known about them. Made once, decoded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sigil.commands.table import parse_command
from sigil.sessions import Route, decode_item

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sigil.channels.router import ChannelRouter
    from sigil.directory import Account, Directory
    from sigil.lanes import Item
    from sigil.messages import InboundMessage
    from sigil.sessions import SessionRecord


@dataclass(frozen=True, slots=True)
class Turn:
    """Items at the head of a session's lane, all of one sender and chat, and the snapshot of the
    configuration that the whole turn runs under.

    `id` derives from the first item, never from the attempt, so that whatever the turn sends has
    the same id when a second worker runs it again.
    """

    id: str
    items: tuple[Item, ...]
    messages: tuple[InboundMessage, ...]
    route: Route
    session: SessionRecord
    directory: Directory

    @property
    def last(self) -> InboundMessage:
        """The newest message; the reply goes to where it came from."""
        return self.messages[-1]

    @property
    def account(self) -> Account:
        """The configured entry that the messages came in by."""
        return self.directory.account(self.last.channel_type)


def group_messages(
    items: Iterable[Item], directory: Directory, channels: ChannelRouter
) -> list[tuple[InboundMessage, Route]]:
    """The first message and those right after it that are answered with it, decoded.

    Where the channel wants it, rapid messages of one sender in one chat are answered together,
    but never a command. Raises `MessageInvalid` if the first one cannot be read.
    """
    rest = iter(items)
    first, route = decode_item(next(rest).fields)
    grouped = [(first, route)]
    capabilities = channels.get(first.channel_type).capabilities
    together = directory.account(first.channel_type).coalesces(capabilities)
    if not together or parse_command(first.content):
        return grouped
    for item in rest:
        message, its_route = decode_item(item.fields)
        if _place(message) != _place(first) or its_route != route:
            break
        if parse_command(message.content):
            break
        grouped.append((message, its_route))
    return grouped


def _place(message: InboundMessage) -> tuple[str | None, ...]:
    return (
        message.channel_type,
        message.account,
        message.channel_id,
        message.thread_id,
        message.sender_id,
    )

"""The turn: what is answered, for whom, and what is known about them. Made once, decoded once.

held lane ─▶ items at its head ─▶ decoded, one by one, as far as they belong together
                                                           └─▶ with their session: a Turn
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Self

from sigil.agent.journal import count_begun_items
from sigil.commands.table import parse_command
from sigil.errors import MessageInvalid, RecordTooNew
from sigil.providers.model_request import Budget
from sigil.sessions import decode_item

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sigil.agent.kept_session import KeptSession
    from sigil.channels.router import ChannelRouter
    from sigil.directory import Account, Directory
    from sigil.lanes.held import Held
    from sigil.lanes.lane import Item
    from sigil.messages.exchange import InboundMessage
    from sigil.sessions import Route, SessionRecord
    from sigil.stores.base import Stores


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """One item of a session's lane, decoded. `epoch` is the session's when the message was routed.
    None: a routing worker of an older version passed it on. Those passed on commands too, and
    `command` is its name and argument, if it is one."""

    item: Item
    message: InboundMessage
    route: Route
    epoch: int | None
    command: tuple[str, str] | None

    @classmethod
    def read(cls, item: Item) -> Self:
        """Raises `MessageInvalid` if the record is malformed, and `RecordTooNew`."""
        message, route = decode_item(item.fields)
        if "epoch" in item.fields:
            return cls(item, message, route, int(item.fields["epoch"]), None)
        return cls(item, message, route, None, parse_command(message.content))

    @property
    def place(self) -> tuple[object, ...]:
        """Who wrote where, and which session that belongs to."""
        message = self.message
        return (
            message.channel_type,
            message.account,
            message.channel_id,
            message.thread_id,
            message.sender_id,
            self.route,
            self.epoch,
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """Items at the head of a session's lane, all of one sender and chat, and the snapshot of the
    configuration that the whole turn runs under.

    `id` derives from the first item, never from the attempt, so that whatever the turn sends has
    the same id when a second worker runs it again. `command` is its name and argument, if the
    turn is one.
    """

    id: str
    items: tuple[Item, ...]
    messages: tuple[InboundMessage, ...]
    command: tuple[str, str] | None
    route: Route
    kept: KeptSession
    directory: Directory

    @property
    def session(self) -> SessionRecord:
        """The session's record, as far as it is known."""
        return self.kept.record

    @property
    def last(self) -> InboundMessage:
        """The newest message; the reply goes to where it came from."""
        return self.messages[-1]

    @property
    def answers(self) -> tuple[str, ...]:
        """The ids of the messages, as their platform gave them."""
        return tuple(message.message_id for message in self.messages)

    @property
    def budget(self) -> Budget:
        """The tokens that the session may use and has used. Dollars are enforced by
        reservations, call by call."""
        return Budget(
            max_session_tokens=self.directory.budgets.max_session_tokens,
            used_session_tokens=self.session.input_tokens + self.session.output_tokens,
        )

    @property
    def account(self) -> Account:
        """The configured entry that the messages came in by."""
        return self.directory.account(self.last.entry)


def read_group(held: Held, directory: Directory, channels: ChannelRouter) -> list[WaitingMessage]:
    """The messages at the head of a lane in hand that the next turn answers. Raises
    `MessageInvalid` or `RecordTooNew` if the head cannot be read. A later item that cannot be read
    ends the group: it is no fault of those before it."""
    waiting = _read_waiting(held.items)
    begun = count_begun_items(held)
    if begun:
        # Another worker grouped them before; the grouping of now might be another one.
        # It may also have taken more items at a time than this one: then it answers what it has.
        return list(islice(waiting, begun))
    if held.suspect or 0 < held.strikes == directory.lanes.max_strikes - 1:
        # What happens now is put down to the head: it is suspect, or this is its last try. So it is
        # tried alone, since it may be one of the others that fails or ends its workers.
        return [next(waiting)]
    return group_messages(waiting, directory, channels)


def _read_waiting(items: Sequence[Item]) -> Iterator[WaitingMessage]:
    for item in items:
        try:
            yield WaitingMessage.read(item)
        except (MessageInvalid, RecordTooNew):
            if item is items[0]:
                raise
            return


def make_turn(
    held: Held, group: Sequence[WaitingMessage], id: str, kept: KeptSession, directory: Directory
) -> Turn:
    """The turn that answers `group`."""
    return Turn(
        id=id,
        items=held.items[: len(group)],
        messages=tuple(each.message for each in group),
        command=group[-1].command,
        route=group[0].route,
        kept=kept,
        directory=directory,
    )


async def name_turn(stores: Stores, first: Item) -> str:
    """The id of the turn whose first item this is."""
    return await stores.lanes.item_id("turn", first.id)


def group_messages(
    waiting: Iterator[WaitingMessage], directory: Directory, channels: ChannelRouter
) -> list[WaitingMessage]:
    """The first message and those right after it that are answered with it.

    Where the channel wants it, rapid messages of one sender in one chat are answered together,
    but never a command.
    """
    first = next(waiting)
    spec = channels.spec_of(first.message)
    if first.command or not directory.account(first.message.entry).coalesces(spec):
        return [first]
    group = [first]
    for each in waiting:
        if each.command or each.place != first.place:
            break
        group.append(each)
    return group

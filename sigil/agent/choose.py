"""Which of the waiting messages a turn answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from sigil.agent import commands
from sigil.effects import Journal
from sigil.lanes import Item
from sigil.leases import Held
from sigil.messages import InboundMessage
from sigil.sessions import Route, read_route

Coalesces = Callable[[str], bool]
"""Whether rapid messages of this channel are answered together."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn answers: items at the head of the lane, all of one sender and chat."""

    id: str
    items: tuple[Item, ...]
    messages: tuple[InboundMessage, ...]
    route: Route

    @property
    def ids(self) -> list[str]:
        return [item.id for item in self.items]

    @property
    def last(self) -> InboundMessage:
        return self.messages[-1]


def choose(held: Held, coalesces: Coalesces) -> tuple[Item, ...]:
    """The items of the next turn: those of the turn that was begun already, if there is one,
    so that a worker that takes over answers the same ones."""
    begun = journalled(held)
    return held.items[:begun] if begun else _group(held.items, coalesces)


def journalled(held: Held) -> int:
    """How many items the turn that was begun answers; 0 if none was begun."""
    return len(json.loads(held.journal[0])["items"]) if held.journal else 0


def begin(held: Held, turn: Turn) -> list[Journal]:
    """The turn's first entry in its journal, unless it was written before."""
    return [] if held.journal else [Journal(held.lane, json.dumps({"items": turn.ids}))]


def _group(items: tuple[Item, ...], coalesces: Coalesces) -> tuple[Item, ...]:
    """The first item, and those after it that are answered with it."""
    first, first_route = read_route(items[0].fields)
    if not coalesces(first.channel_type) or commands.parse(first.content):
        return items[:1]
    count = 1
    for item in items[1:]:
        message, route = read_route(item.fields)
        if _place(message) != _place(first) or route != first_route:
            break
        if commands.parse(message.content):
            break
        count += 1
    return items[:count]


def _place(message: InboundMessage) -> tuple[str | None, ...]:
    return (
        message.channel_type,
        message.account,
        message.channel_id,
        message.thread_id,
        message.sender_id,
    )

"""Which events of a room are new: those of the sync, and those in the gap before them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import structlog

from sigil.channels.matrix.client import make_path
from sigil.channels.matrix.errors import StreamTokenInvalid
from sigil.channels.matrix.payloads import Event, Page, Timeline, read_events
from sigil.errors import SendRefused

if TYPE_CHECKING:
    from sigil.channels.matrix.client import MatrixClient
    from sigil.channels.matrix.rooms import Room

log = structlog.get_logger(__name__)

TYPES = ["m.room.message", "m.room.encrypted", "m.room.member"]
PAGE, MAX_PAGES = 100, 20
_FILTER = json.dumps({"types": TYPES, "lazy_load_members": True})


async def read_new_events(
    client: MatrixClient, room: Room, timeline: Timeline, since: str | None
) -> list[Event]:
    """The events after the last one that was accepted, oldest first.

    What was said before the account was invited is not answered, although a server may show it:
    the history of a room that it has just joined ends at the invitation. Nothing is new if neither
    `since` nor a last event is known.
    """
    events = read_events(timeline.events)
    if since is None and room.last_event is None:
        return []
    found = _cut(events, room, client.user_id)
    if found is None and timeline.limited and timeline.prev_batch:
        gap = await _read_gap(client, room, timeline.prev_batch, since)
        return gap + events
    if found is None and since is None:
        return []  # the last event is not among them, and nobody knows how far back it is
    return events if found is None else found


def _cut(events: list[Event], room: Room, user_id: str) -> list[Event] | None:
    """The events after the last one that was accepted, or from the account's invitation on; None
    if neither is among them."""
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if event.event_id == room.last_event:
            return events[index + 1 :]
        if _is_invitation(event, user_id):
            return events[index:]
    joins = [i for i, event in enumerate(events) if is_join(event, user_id)]
    return events[joins[-1] :] if joins else None


async def _read_gap(client: MatrixClient, room: Room, token: str, since: str | None) -> list[Event]:
    """The events before `token`, down to what was known, as far as `MAX_PAGES` go."""
    found: list[Event] = []
    query = {"dir": "b", "limit": str(PAGE), "filter": _FILTER}
    if since is not None:
        query["to"] = since
    for _ in range(MAX_PAGES):
        try:
            answer = await client.call(
                "GET", make_path("rooms", room.id, "messages"), query={**query, "from": token}
            )
        except (SendRefused, StreamTokenInvalid) as error:
            if query.pop("to", None) is not None and room.last_event is not None:
                continue  # not every server takes a position of `/sync` here
            log.warning("a gap cannot be read", room=room.id, error=str(error))
            break
        page = Page.model_validate(answer)
        older = list(reversed(read_events(page.chunk)))
        cut = _cut(older, room, client.user_id)
        found = (older if cut is None else cut) + found
        if cut is not None or not page.chunk or not page.end or page.end == token:
            return found
        token = page.end
    else:
        log.warning("a gap is too long; its oldest messages are left out", room=room.id)
    return found


def _is_invitation(event: Event, user_id: str) -> bool:
    content = event.content
    return (
        event.type == "m.room.member"
        and event.state_key == user_id
        and content is not None
        and content.membership == "invite"
    )


def is_join(event: Event, user_id: str) -> bool:
    """Whether the account came into the room with this event, and did not only change its name."""
    content, unsigned = event.content, event.unsigned
    before = unsigned.prev_content if unsigned is not None else None
    return (
        event.type == "m.room.member"
        and event.state_key == user_id
        and content is not None
        and content.membership == "join"
        and (before is None or before.membership != "join")
    )

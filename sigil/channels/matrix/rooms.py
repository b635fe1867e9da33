"""What the listener knows about rooms: who is in them, and what was said lately."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from sigil.channels.matrix.client import make_path
from sigil.channels.matrix.payloads import Event, JoinedRoom, read_event, read_events
from sigil.errors import ChannelError

if TYPE_CHECKING:
    from sigil.channels.matrix.client import MatrixClient

log = structlog.get_logger(__name__)

MAX_ROOMS, MAX_NAMES, MAX_SAID, LARGE = 2000, 500, 2000, 10


@dataclass(slots=True)
class Room:
    """`joined` is how many are in it, None if nobody knows; `flagged_direct` is what the person who
    invited said of it. `last_event` is the newest event that was accepted."""

    id: str
    joined: int | None = None
    names: dict[str, str] = field(default_factory=dict)
    asked: bool = False
    flagged_direct: bool = False
    refused: bool = False
    last_event: str | None = None

    @property
    def is_direct(self) -> bool:
        """Whether two people are in it. Only if that is unknown the flag counts: it stays when a
        third one is invited."""
        return self.flagged_direct if self.joined is None else self.joined <= 2

    def forget_members(self, changes: int) -> None:
        """Has the members counted anew, unless so many are there that it makes no difference: the
        list of a large room is long."""
        if self.joined is not None and self.joined - changes > LARGE:
            self.joined -= changes
            return
        self.joined, self.asked = None, False


@dataclass(frozen=True, slots=True)
class Said:
    """An event that others refer to."""

    sender: str
    text: str
    thread_id: str | None


class Rooms:
    """The rooms by id, and the latest events by theirs. All of it can be asked for again, so only
    the newest is kept."""

    def __init__(self, client: MatrixClient) -> None:
        self._client = client
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._said: OrderedDict[tuple[str, str], Said] = OrderedDict()

    def get(self, room_id: str) -> Room:
        """The room; a new one if nothing is known of it."""
        room = self._rooms.setdefault(room_id, Room(room_id))
        self._rooms.move_to_end(room_id)
        if len(self._rooms) > MAX_ROOMS:
            self._rooms.popitem(last=False)
        return room

    def forget(self, room_id: str) -> None:
        """Drops what is known of a room that the account has left."""
        self._rooms.pop(room_id, None)

    def learn(self, room: Room, news: JoinedRoom, events: list[Event]) -> None:
        """Takes over what a sync says about who is in the room. Its state holds mostly those who
        have written, while the events say who came and went."""
        state = read_events(None if news.state is None else news.state.events)
        for event in (*state, *events):
            content = event.content
            if event.type != "m.room.member" or event.state_key is None or content is None:
                continue
            if content.displayname and len(room.names) < MAX_NAMES:
                room.names[event.state_key] = content.displayname
        changes = [event for event in events if event.type == "m.room.member"]
        if changes or (news.timeline is not None and news.timeline.limited):
            room.forget_members(len(changes))
        if news.summary is not None and news.summary.joined is not None:
            room.joined = news.summary.joined

    async def complete(self, room: Room, user_id: str) -> None:
        """Asks who is in the room, if that or the user's name is not known. A server that does not
        say is not asked again until somebody comes or goes."""
        if room.asked or (room.joined is not None and user_id in room.names):
            return
        room.asked = True
        try:
            answer = await self._client.call("GET", make_path("rooms", room.id, "joined_members"))
        except ChannelError as error:
            log.warning("members of a room are unknown", room=room.id, error=str(error))
            return
        joined = answer.get("joined")
        if not isinstance(joined, dict):
            return
        room.joined = len(joined)
        if len(joined) <= MAX_NAMES:
            for user, profile in joined.items():
                name = profile.get("display_name") if isinstance(profile, dict) else None
                if isinstance(name, str) and name:
                    room.names[user] = name

    def note(self, room: Room, event: Event) -> None:
        """Keeps an event for those that refer to it."""
        content, relation = event.content, event.content and event.content.relates_to
        if event.type != "m.room.message" or content is None:
            return
        thread = relation.event_id if relation and relation.rel_type == "m.thread" else None
        self._said[room.id, event.event_id] = Said(event.sender, content.body or "", thread)
        if len(self._said) > MAX_SAID:
            self._said.popitem(last=False)

    async def find_said(self, room: Room, event_id: str) -> Said | None:
        """What an event said; None if the server does not give it."""
        known = self._said.get((room.id, event_id))
        if known is not None:
            return known
        try:
            answer = await self._client.call("GET", make_path("rooms", room.id, "event", event_id))
        except ChannelError as error:
            log.info("an event cannot be read", room=room.id, error=str(error))
            return None
        event = read_event(answer)
        if event is None or event.event_id != event_id:
            return None
        self.note(room, event)
        return self._said.get((room.id, event_id))

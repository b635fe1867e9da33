"""Reads `/sync` and hands in what people said.

The position in the stream is stored after all events before it were accepted; the same position
gives the same events again, so nothing is lost, and the event's id tells repeats.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError

from sigil.channels.matrix.check import check_account
from sigil.channels.matrix.client import API, MatrixClient, make_path
from sigil.channels.matrix.content import clean_name
from sigil.channels.matrix.errors import StreamTokenInvalid
from sigil.channels.matrix.payloads import (
    Event,
    Events,
    InvitedRoom,
    JoinedRoom,
    SyncAnswer,
    Timeline,
    check_length,
    read_event,
    read_events,
    read_stripped,
)
from sigil.channels.matrix.reading import Reader
from sigil.channels.matrix.rooms import Room, Rooms
from sigil.channels.matrix.timeline import TYPES, read_new_events
from sigil.errors import ChannelError, MarkupRefused, SendFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.channels.base import AccountContext, Check, Inbox
    from sigil.channels.matrix.settings import MatrixSettings

log = structlog.get_logger(__name__)

WAIT_MS = 30_000
LONGEST_REST_S, QUICK_S = 30.0, 0.5
MAX_INVITATIONS, JOIN_TRIES, GAP_TRIES = 100, 5, 3


class MatrixListener:
    """The listener of one account."""

    silence = 120.0
    """Seconds; a sync without news ends after 30."""

    def __init__(self, context: AccountContext, settings: MatrixSettings) -> None:
        self.name = context.name
        self._context = context
        self._settings = settings
        self._client = MatrixClient(context.name, settings)
        self._rooms = Rooms(self._client)
        self._invitations: dict[str, int] = {}
        self._gap_tries: dict[str, int] = {}

    async def listen(self, inbox: Inbox) -> None:
        """Reads until cancelled. The first sync of an account only tells the position: what was
        said before is not answered."""
        login = await self._client.fetch_login()
        log.info("listening", channel=self.name, user=login.user_id, device=login.device_id)
        names = await self._find_names()
        # Another process may have listened meanwhile, so what was known of rooms may be old.
        self._rooms = Rooms(self._client)
        reader = Reader(self._context, self._settings, self._client, self._rooms, inbox, names)
        since = await inbox.load_cursor()
        for room_id, event_id in (await inbox.load_last_messages()).items():
            self._rooms.get(room_id).last_event = event_id
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            answer = await self._sync(since, inbox)
            inbox.note_activity()
            if answer is None:
                since = None
                continue
            await self._take(answer, since, reader, inbox)
            if answer.next_batch != since:
                since = answer.next_batch
                await inbox.save_cursor(since)
            if answer.rooms is None and loop.time() - asked_at < QUICK_S:
                await asyncio.sleep(QUICK_S)  # a server that does not wait for news

    async def check(self) -> Sequence[Check]:
        """Asks whether the account works, and in which rooms it may write."""
        return await check_account(self.name, self._settings)

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.close()

    async def _sync(self, since: str | None, inbox: Inbox) -> SyncAnswer | None:
        """The next news; None if the position is unknown to the server."""
        query = {"filter": _make_filter(first=since is None), "timeout": "0"}
        if since is not None:
            query |= {"since": since, "timeout": str(WAIT_MS)}
        while True:
            try:
                answer = await self._client.call("GET", f"{API}/sync", query=query)
                return SyncAnswer.model_validate(answer)
            except (StreamTokenInvalid, MarkupRefused) as error:
                # Servers say it in different words. A sync without a position loses nothing, since
                # the last event of each room is known.
                if since is None:
                    raise
                log.warning("the position is unknown; starting anew", error=str(error))
                return None
            except ValidationError:
                raise SendFailed("the homeserver answered a sync that cannot be read.") from None
            except SendFailed as error:
                if error.retry_after is None:
                    raise
                await _rest(error.retry_after, inbox)

    async def _take(
        self, answer: SyncAnswer, since: str | None, reader: Reader, inbox: Inbox
    ) -> None:
        self._flag_direct(answer.account_data)
        news = answer.rooms
        for room_id, found in ((news and news.join) or {}).items():
            try:
                check_length(room_id)
                joined = JoinedRoom.model_validate(found)
            except ValueError:
                continue
            await self._take_room(room_id, joined, since, reader, inbox)
            inbox.note_activity()
        for room_id in (news and news.leave) or {}:
            log.info("no longer in a room", channel=self.name, room=room_id)
            self._rooms.forget(room_id)
            self._invitations.pop(room_id, None)
        for room_id, found in ((news and news.invite) or {}).items():
            await self._answer_invitation(room_id, found, inbox)
            inbox.note_activity()
        for room_id in list(self._invitations):
            await self._join(room_id)
            inbox.note_activity()

    async def _take_room(
        self,
        room_id: str,
        news: JoinedRoom,
        since: str | None,
        reader: Reader,
        inbox: Inbox,
    ) -> None:
        room = self._rooms.get(room_id)
        timeline = news.timeline
        events = []
        if timeline is not None:
            events = await self._read_new_events(room, timeline, since)
        self._rooms.learn(room, news, events)
        for event in events:
            await reader.take(room, event)
            room.last_event = event.event_id
        if since is None and not events and timeline is not None and timeline.events:
            # The first sync hands in nothing; what follows its last event is new.
            newest = read_event(timeline.events[-1])
            room.last_event = room.last_event if newest is None else newest.event_id
        if timeline is not None and timeline.events and room.last_event is not None:
            await inbox.save_last_message(room.id, room.last_event)

    async def _read_new_events(
        self, room: Room, timeline: Timeline, since: str | None
    ) -> list[Event]:
        """A gap that cannot be read is tried again with the next sync; one room must not hold up
        the others for ever."""
        try:
            events = await read_new_events(self._client, room, timeline, since)
        except SendFailed as error:
            tries = self._gap_tries[room.id] = self._gap_tries.get(room.id, 0) + 1
            if tries < GAP_TRIES:
                raise
            log.error("a gap cannot be read; its messages are left out", error=str(error))
            events = read_events(timeline.events)
        self._gap_tries.pop(room.id, None)
        return events

    async def _answer_invitation(self, room_id: str, found: object, inbox: Inbox) -> None:
        """Accepts an invitation from somebody who is heard, and declines any other: who has been
        let in meanwhile can invite again."""
        try:
            state = InvitedRoom.model_validate(found).invite_state
        except ValidationError:
            return
        invitation = next(
            (
                event
                for event in read_stripped(None if state is None else state.events)
                if event.type == "m.room.member"
                and event.state_key == self._client.user_id
                and event.content is not None
                and event.content.membership == "invite"
            ),
            None,
        )
        if invitation is None or not await inbox.is_admitted(invitation.sender):
            log.info("an invitation is declined", channel=self.name, room=room_id)
            await self._decline(room_id)
            return
        if len(self._invitations) < MAX_INVITATIONS:
            self._invitations[room_id] = JOIN_TRIES
            content = invitation.content
            self._rooms.get(room_id).flagged_direct = bool(content and content.is_direct)

    async def _join(self, room_id: str) -> None:
        """Joins, now or with a later sync: the server that the room is on may be away."""
        tries = self._invitations.pop(room_id)
        try:
            # Some servers refuse an empty body.
            await self._client.call("POST", make_path("rooms", room_id, "join"), {}, room=True)
        except ChannelError as error:
            log.warning("a room cannot be joined", room=room_id, error=str(error))
            if error.transient and tries > 1:
                self._invitations[room_id] = tries - 1

    async def _decline(self, room_id: str) -> None:
        try:
            await self._client.call("POST", make_path("rooms", room_id, "leave"), {}, room=True)
        except ChannelError as error:
            log.warning("an invitation cannot be declined", room=room_id, error=str(error))

    def _flag_direct(self, data: Events | None) -> None:
        """Notes the rooms that the account's own list calls direct."""
        for event in (data.events if data is not None else None) or []:
            if not isinstance(event, dict) or event.get("type") != "m.direct":
                continue
            content = event.get("content")
            for rooms in content.values() if isinstance(content, dict) else ():
                for room_id in rooms if isinstance(rooms, list) else ():
                    if isinstance(room_id, str):
                        self._rooms.get(room_id).flagged_direct = True

    async def _find_names(self) -> frozenset[str]:
        """What people call the account: its display name, and the first part of its id."""
        user = self._client.user_id
        names = {user[1:].partition(":")[0]}
        try:
            answer = await self._client.call("GET", make_path("profile", user, "displayname"))
        except ChannelError as error:
            log.warning("the account's name is unknown", channel=self.name, error=str(error))
        else:
            shown = answer.get("displayname")
            if isinstance(shown, str):
                names.add(clean_name(shown))
        return frozenset(name for name in names if name)


def _make_filter(*, first: bool) -> str:
    nothing: dict[str, list[str]] = {"types": []}
    return json.dumps(
        {
            "presence": nothing,
            "account_data": {"types": ["m.direct"]},
            "room": {
                "timeline": {"limit": 1 if first else 50, "types": TYPES},
                "state": {"types": ["m.room.member"], "lazy_load_members": True},
                "ephemeral": nothing,
                "account_data": nothing,
            },
        }
    )


async def _rest(seconds: float, inbox: Inbox) -> None:
    """Waits as long as the server says, without being taken for dead."""
    while seconds > 0:
        pause = min(seconds, LONGEST_REST_S)
        await asyncio.sleep(pause)
        inbox.note_activity()
        seconds -= pause

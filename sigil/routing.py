"""One inbound message → the lane of its session, or a refusal.

Pure decisions: what is returned is a list of effects, applied by the gateway in one fenced
commit. Commands that must not wait behind a turn (/stop, /status) are answered here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sigil.effects import Audit, Effect, Finish, Notice, Outcome, Push, Stop
from sigil.errors import ChannelNotFound, NotAMember
from sigil.lanes import LaneKind, LaneStatus
from sigil.messages import InboundMessage
from sigil.pairing import Door, PairingMode, admit
from sigil.replies import Replies
from sigil.sessions import Route, session_key
from sigil.workspace import RouteRequest, WorkspaceManager

if TYPE_CHECKING:
    from sigil.channels.router import ChannelRouter
    from sigil.config import Settings
    from sigil.identity import User, UserStore
    from sigil.stores.base import Stores

LANE_FULL_TEXT = (
    "I have {cap} of your messages waiting already, so I did not take this one. "
    "Please send it again when I have caught up, or send /stop to drop what waits."
)


class Routing:
    """Identity → pairing → workspace → session."""

    def __init__(
        self,
        stores: Stores,
        users: UserStore,
        workspaces: WorkspaceManager,
        channels: ChannelRouter,
        settings: Settings,
    ) -> None:
        self._stores = stores
        self._users = users
        self._workspaces = workspaces
        self._channels = channels
        self._settings = settings
        self._replies = Replies(stores.lanes)
        self._doors: dict[str, Door] = {}

    async def decide(
        self, item_id: str, message: InboundMessage, before: Sequence[Effect] = ()
    ) -> list[Effect]:
        """The effects that move the message on; `before` are those of the messages ahead of
        it, which will be applied in the same commit. Raises `StoreError`."""
        try:
            door = self._door(message.channel_type)
        except ChannelNotFound:
            return await self._refuse(item_id, message, "channel.not_found", None)
        admission = await admit(message, door, self._users, self._stores.pairings)
        policy = self._settings.policy(message.channel_type)
        if not admission.admitted or admission.user is None:
            return await self._refuse(item_id, message, "pairing.not_admitted", policy.refusal)
        try:
            route = await self._route(message, admission.user)
        except NotAMember as error:
            return await self._refuse(item_id, message, error.code, policy.refusal)
        # Without the channel: a unified session is one lane, whichever channel it is used from.
        lane = await self._stores.lanes.key(LaneKind.SESSION, "any", route.session_key)
        command = message.content.strip().lower()
        if command == "/stop":
            return await self._stop(item_id, message, lane, before)
        if command == "/status":
            return await self._status(item_id, message, lane, route, before)
        return [self._forward(item_id, message, lane, route)]

    async def _route(self, message: InboundMessage, user: User) -> Route:
        # Who was admitted has a pairing.
        request = RouteRequest(message.channel_type, message.channel_id, user.id, paired=True)
        workspace = await self._workspaces.route(request)
        capabilities = self._channels.get(message.channel_type).capabilities
        key = session_key(workspace.id, message, user, capabilities)
        return Route(workspace.id, user.id, key)

    def _forward(self, item_id: str, message: InboundMessage, lane: str, route: Route) -> Push:
        lanes = self._settings.lanes
        coalesce = coalesces(
            self._settings, self._channels, message.channel_type
        ) and not message.content.startswith("/")
        return Push(
            lane,
            item_id,
            {"route": route.to_json()},
            cap=lanes.cap,
            quiet=lanes.coalesce_quiet if coalesce else 0.0,
            quiet_max=lanes.coalesce_max if coalesce else 0.0,
        )

    async def when_full(
        self, item_id: str, message: InboundMessage, *, noticed: bool, lane: str
    ) -> list[Effect]:
        """The refusal when the session takes no more; one notice per episode."""
        text = None if noticed else LANE_FULL_TEXT.format(cap=self._settings.lanes.cap)
        return [*await self._refuse(item_id, message, "lane.full", text), Notice(lane)]

    async def _refuse(
        self, item_id: str, message: InboundMessage, reason: str, text: str | None
    ) -> list[Effect]:
        effects: list[Effect] = [
            Finish(item_id, Outcome.REFUSED),
            Audit(json.dumps({"what": "refused", "message": item_id, "why": reason})),
        ]
        if text:
            effects.append(await self._replies.to(message, text, item_id))
        return effects

    async def _stop(
        self, item_id: str, message: InboundMessage, lane: str, before: Sequence[Effect]
    ) -> list[Effect]:
        status = await self._look(lane, before)
        text = "Stopped." if status.waiting else "Nothing is running."
        reply = await self._replies.to(message, text, item_id)
        return [Stop(lane), reply, Finish(item_id, Outcome.ANSWERED)]

    async def _status(
        self,
        item_id: str,
        message: InboundMessage,
        lane: str,
        route: Route,
        before: Sequence[Effect],
    ) -> list[Effect]:
        status = await self._look(lane, before)
        session = await self._stores.sessions.load(route.session_key)
        workspace = self._settings.workspaces.get(route.workspace_id)
        default = (workspace.model if workspace else None) or self._settings.models.default
        text = (
            f"**Workspace** {route.workspace_id}\n"
            f"**Model** {session.model or default}\n"
            f"**Session** {session.input_tokens + session.output_tokens} tokens used\n"
            f"**Now** {'answering' if status.leased else 'idle'}, {status.waiting} waiting"
        ).replace("\n", "  \n")
        reply = await self._replies.to(message, text, item_id)
        return [reply, Finish(item_id, Outcome.ANSWERED)]

    async def _look(self, lane: str, before: Sequence[Effect]) -> LaneStatus:
        """The lane as it will be once `before` is applied."""
        status = await self._stores.lanes.status(lane)
        ahead = sum(isinstance(effect, Push) and effect.lane == lane for effect in before)
        return replace(status, waiting=status.waiting + ahead)

    def _door(self, channel: str) -> Door:
        door = self._doors.get(channel)
        if door is None:
            policy = self._settings.policy(channel)
            door = Door(
                PairingMode(policy.pairing),
                frozenset(policy.allowlist),
                self._channels.get(channel).capabilities.authenticated,
                frozenset(self._settings.users),
            )
            self._doors[channel] = door
        return door


def coalesces(settings: Settings, channels: ChannelRouter, channel: str) -> bool:
    """Whether rapid messages of this channel are answered together."""
    wanted = settings.policy(channel).coalesce
    return channels.get(channel).capabilities.coalesce if wanted is None else wanted

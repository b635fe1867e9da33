"""One inbound message → the lane of its session, or a refusal.

    message ─▶ account ─▶ admitted? ─▶ workspace ─▶ session ─▶ Push to the session's lane
                              │             │           └ a command: answered at once
                              └─────────────┴─▶ refused

What is decided is a list of effects, which are applied in one fenced commit. A person who is heard
for the first time gets a user and a pairing by it. Their id derives from their identity, so two
chats that decide this at the same moment make the same user.

A command does not wait behind a turn. It is decided by the session as it is, so it has a commit of
its own; if a turn has written the session meanwhile, it is decided again. /new keeps its place in
the order all the same, since a message's record names the epoch in which it was routed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from sigil.commands.base import CommandContext
from sigil.commands.table import parse_command, run_command
from sigil.edits import Edits
from sigil.errors import (
    ChannelNotFound,
    IdentityTaken,
    LaneFull,
    MessageInvalid,
    NotAMember,
    RecordTooNew,
    SessionStale,
    StoreFull,
)
from sigil.identity.pairing import Admission, admit
from sigil.identity.users import ConfiguredUsers, DirectChat, Identity
from sigil.lanes.effects import (
    Admit,
    Effect,
    Finish,
    Outcome,
    Push,
)
from sigil.lanes.lane import LaneKind, lane_id
from sigil.lanes.replies import Replies
from sigil.messages.exchange import InboundMessage
from sigil.refusals import Refusals
from sigil.sessions import Route, session_key
from sigil.workspace.manager import WorkspaceManager, request_route

if TYPE_CHECKING:
    from sigil.channels.router import ChannelRouter
    from sigil.directory import Directory
    from sigil.identity.users import User, UserStore
    from sigil.lanes.held import Held
    from sigil.lanes.lane import Item
    from sigil.stores.base import Stores

log = structlog.get_logger(__name__)


# What was decided of each sender whose messages are routed in one commit.
Senders = dict[Identity, Admission]


class Routing:
    """Identity → pairing → workspace → session. `stored_users` are those that the configuration
    does not name."""

    def __init__(
        self,
        stores: Stores,
        stored_users: UserStore,
        workspaces: WorkspaceManager,
        channels: ChannelRouter,
    ) -> None:
        self._stores = stores
        self._stored_users = stored_users
        self._workspaces = workspaces
        self._channels = channels
        self._replies = Replies(stores.lanes)
        self._refusals = Refusals(stores, channels)
        self._edits = Edits(stores, self._refusals)
        self._direct_chats: dict[str, DirectChat] = {}  # as this process has noted them

    async def handle(self, held: Held, directory: Directory) -> None:
        """Routes the items in hand, together in one commit. After a failure, or if the head is
        suspect, it routes one by one, so that only the message that fails is given up. Raises
        `MessageInvalid` or `RecordTooNew` if the head cannot be read."""
        try:
            await self._route(held, directory)
        except (IdentityTaken, SessionStale) as changed:
            # Nothing was applied. A sender who was unknown when they were looked up is somebody by
            # now, or a turn has moved on under a command. The gateway calls again while items are
            # in hand, and then finds what is so now.
            log.info("routed anew", reason=str(changed))

    async def _route(self, held: Held, directory: Directory) -> None:
        effects: list[Effect] = []
        by_item: list[tuple[Item, list[Effect]]] = []
        senders: Senders = {}
        for item in held.items[:1] if held.strikes or held.suspect else held.items:
            try:
                message = InboundMessage.from_record(item.fields)
                is_command = _reads_as_command(message)
                if is_command and by_item:
                    break
                own = await self.decide(item.id, message, directory, senders)
            except (MessageInvalid, RecordTooNew):
                if not by_item:
                    raise
                break  # no fault of those before it, which are routed
            by_item.append((item, own))
            # A new person who writes several messages at once is let in once.
            effects += [each for each in own if type(each) is not Admit or each not in effects]
            if is_command:
                break
        try:
            await held.finish([item for item, _ in by_item], effects)
        except LaneFull:
            # Nothing was applied. One by one, those that still fit are routed.
            for item, own in by_item:
                if not held.given_back:
                    await self._route_alone(held, item, own, directory)
            return
        for item, own in by_item:
            _log_routing(item, own)

    async def give_up(self, held: Held) -> tuple[Sequence[Item], list[Effect]]:
        """The item to be dead-lettered, and the effects that do it."""
        return held.items[:1], await self._refusals.give_up(held.items[0])

    async def say_over_limit(
        self, item_id: str, message: InboundMessage, directory: Directory, *, first: bool
    ) -> tuple[str, ...]:
        """Says that a message has ended at the gate: with its mark where people watch the chat, and
        if it was the `first` of its episode to the sender, as far as they are heard at all. Returns
        the lanes to wake. Raises `StoreError`."""
        await self._refusals.mark_over_limit(item_id, message)
        if not first or not await self._hears(message, directory):
            return ()
        return await self._refusals.tell_over_limit(item_id, message, directory)

    async def _hears(self, message: InboundMessage, directory: Directory) -> bool:
        admission = await self._admit(message, directory)
        if not admission.admitted or admission.user is None:
            return False
        try:
            await self._find_route(message, admission.user, directory)
        except NotAMember:
            return False
        return True

    async def decide(
        self,
        item_id: str,
        message: InboundMessage,
        directory: Directory,
        senders: Senders,
    ) -> list[Effect]:
        """The effects that move the message on. Who was looked up for the same commit is kept in
        `senders`. Raises `StoreError`."""
        account = directory.account(message.entry)
        try:
            self._channels.spec_of(message)
        except ChannelNotFound as error:
            return await self._refusals.refuse(item_id, message, error.code, None)
        identity = Identity(message.channel_type, message.sender_id)
        admission = senders.get(identity)  # all in hand are of one chat, and so of one account
        if admission is None:
            admission = senders[identity] = await self._admit(message, directory)
        if not admission.admitted or admission.user is None:
            return await self._refusals.refuse(
                item_id, message, "pairing.not_admitted", account.refusal
            )
        user, admits = admission.user, list[Effect]()
        if admission.new_pairing:
            admits.append(Admit(identity, user, admission.new_user, message.entry))
        return admits + await self._decide_admitted(item_id, message, user, directory)

    async def _admit(self, message: InboundMessage, directory: Directory) -> Admission:
        door = directory.door(message.entry, self._channels.spec_of(message))
        users = ConfiguredUsers(self._stored_users, lambda: directory.people)
        return await admit(message, door, users, self._stores.pairings)

    async def _decide_admitted(
        self,
        item_id: str,
        message: InboundMessage,
        user: User,
        directory: Directory,
    ) -> list[Effect]:
        if user.role == "owner":
            await self._note_direct_chat(message, user)
        try:
            route = await self._find_route(message, user, directory)
        except NotAMember as error:
            refusal = directory.account(message.entry).refusal
            return await self._refusals.refuse(item_id, message, error.code, refusal)
        # Without the channel: a unified session is one lane, whichever channel it is used from.
        lane = await self._stores.lanes.key(LaneKind.SESSION, "any", route.session_key)
        if message.kind == "edit" and not directory.account(message.entry).answers_edits:
            return await self._edits.correct(item_id, message, lane, route, directory)
        if not _reads_as_command(message):
            return [self._forward(item_id, message, lane, route, directory)]
        name, argument = parse_command(message.content) or ("help", "")
        session, status = await asyncio.gather(
            self._stores.sessions.load(route.session_key), self._stores.lanes.status(lane)
        )
        context = CommandContext(
            argument,
            route,
            lane,
            session,
            directory,
            self._stores,
            status,
            self._coalesces(message, directory),
        )
        result = await run_command(name, context)
        reply = await self._replies.push_notice(message, result.text, item_id)
        return [*result.effects, reply, Finish(item_id, Outcome.ANSWERED)]

    async def _note_direct_chat(self, message: InboundMessage, user: User) -> None:
        """Remembers where the owner can be told what only they can mend."""
        spec = self._channels.spec_of(message)
        # Nobody comes back to the chat of a terminal.
        is_lasting = spec.html or not spec.live
        if not message.is_direct or not is_lasting:
            return
        chat = DirectChat.of(message)
        if self._direct_chats.get(user.id) != chat:
            # It helps later. A store whose memory is full refuses it, and must still route.
            with contextlib.suppress(StoreFull):
                await self._stores.users.note_direct_chat(user.id, chat)
                self._direct_chats[user.id] = chat

    async def _route_alone(
        self, held: Held, item: Item, effects: list[Effect], directory: Directory
    ) -> None:
        try:
            await held.finish([item], effects)
        except LaneFull as full:
            effects = await self._refusals.refuse_full(item, full, directory)
            await held.finish([item], effects)
        _log_routing(item, effects)

    async def _find_route(self, message: InboundMessage, user: User, directory: Directory) -> Route:
        # Everybody who was admitted has a pairing.
        request = request_route(message, user.id, paired=True)
        workspace = await self._workspaces.route(request, directory.workspaces)
        spec = self._channels.spec_of(message)
        key = session_key(workspace.id, message, user, spec)
        return Route(workspace.id, user.id, key)

    def _forward(
        self, item_id: str, message: InboundMessage, lane: str, route: Route, directory: Directory
    ) -> Push:
        lanes = directory.lanes
        waits = self._coalesces(message, directory)
        return Push(
            lane,
            item_id,
            route.to_record(),
            cap=lanes.cap,
            quiet=lanes.coalesce_quiet if waits else 0.0,
            quiet_max=lanes.coalesce_max if waits else 0.0,
            session=route.session_key,
        )

    def _coalesces(self, message: InboundMessage, directory: Directory) -> bool:
        spec = self._channels.spec_of(message)
        return directory.account(message.entry).coalesces(spec)


def _reads_as_command(message: InboundMessage) -> bool:
    return message.kind != "edit" and parse_command(message.content) is not None


def _log_routing(item: Item, effects: Sequence[Effect]) -> None:
    for effect in effects:
        if isinstance(effect, Finish):
            log.info("message ended", message_id=item.id, outcome=effect.outcome.value)
        elif isinstance(effect, Push) and effect.id == item.id:
            log.info("message routed", message_id=item.id, session_id=lane_id(effect.lane))

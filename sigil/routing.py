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
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from sigil.channels.live import refused_event, show_event
from sigil.commands.base import CommandContext
from sigil.commands.table import parse_command, run_command
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
    Amend,
    Audit,
    DeadLetter,
    Effect,
    Finish,
    Notice,
    Outcome,
    Push,
    Stage,
    WriteSession,
    encode_audit_entry,
)
from sigil.lanes.lane import LaneKind, lane_id
from sigil.lanes.replies import Replies
from sigil.messages.conversation import Message, encode_message, mark_lines
from sigil.messages.exchange import InboundMessage
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

LANE_FULL_TEXT = (
    "This conversation is full ({cap} waiting), so I did not take your message, and I take no "
    "more until I have caught up. Please send it again then, or send /stop to drop what waits."
)

CORRECTION = "(Sigil: {user} has changed an earlier message. It reads now:)"
GIVEN_UP_TEXT = "I failed several times to read this message and have given up on it."


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
        """The item to be dead-lettered, and the effects that do it. The person is told where the
        channel knows who they are: elsewhere they may be somebody who is not to be heard."""
        item = held.items[0]
        effects = _bury_item(item)
        with contextlib.suppress(MessageInvalid, ChannelNotFound):
            message = InboundMessage.from_record(item.fields)
            if self._channels.spec_of(message).authenticated:
                effects.append(await self._replies.push_notice(message, GIVEN_UP_TEXT, item.id))
        return [item], effects

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
            spec = self._channels.spec_of(message)
        except ChannelNotFound as error:
            return await self._refuse(item_id, message, error.code, None)
        identity = Identity(message.channel_type, message.sender_id)
        admission = senders.get(identity)  # all in hand are of one chat, and so of one account
        if admission is None:
            door = directory.door(message.entry, spec)
            users = ConfiguredUsers(self._stored_users, lambda: directory.people)
            admission = await admit(message, door, users, self._stores.pairings)
            senders[identity] = admission
        if not admission.admitted or admission.user is None:
            return await self._refuse(item_id, message, "pairing.not_admitted", account.refusal)
        user, admits = admission.user, list[Effect]()
        if admission.new_pairing:
            admits.append(Admit(identity, user, admission.new_user, message.entry))
        return admits + await self._decide_admitted(item_id, message, user, directory)

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
            return await self._refuse(item_id, message, error.code, refusal)
        # Without the channel: a unified session is one lane, whichever channel it is used from.
        lane = await self._stores.lanes.key(LaneKind.SESSION, "any", route.session_key)
        if message.kind == "edit" and not directory.account(message.entry).answers_edits:
            return await self._correct(item_id, message, lane, route, directory)
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

    async def _correct(
        self, item_id: str, message: InboundMessage, lane: str, route: Route, directory: Directory
    ) -> list[Effect]:
        """Somebody has changed what they wrote. What still waits is replaced. Later the model is
        told of it, with what is asked next; nobody is answered."""
        chat = (message.channel_type, message.account, message.channel_id)
        first = await self._stores.lanes.item_id(*chat, message.message_id)
        record, status = await asyncio.gather(
            self._stores.messages.get(first), self._stores.lanes.status(lane)
        )
        if record is None:  # it was not heard either
            return await self._refuse(item_id, message, "message.unknown", None)
        done: list[Effect] = [Finish(item_id, Outcome.ANSWERED)]
        # Whoever holds the lane has read what is in it.
        if "body" in record and not status.leased:
            changed = replace(message, kind="message", revision=None)
            return [Amend(first, changed.to_record()), *done]
        session = await self._stores.sessions.load(route.session_key)
        words = [CORRECTION.format(user=route.user_id), *mark_lines(message.content)]
        note = encode_message(Message("user", "\n".join(words)))
        return [
            WriteSession(
                route.session_key,
                session.id,
                session.version,
                messages=(note,),
                keep=2 * directory.agent.window,
            ),
            *done,
        ]

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
            effects = await self._refuse_full(item, full, directory)
            await held.finish([item], effects)
        _log_routing(item, effects)

    async def _refuse_full(self, item: Item, full: LaneFull, directory: Directory) -> list[Effect]:
        """The session takes no more. Its chat is told once per episode; where people watch the
        chat, each message that was not taken is marked."""
        message = InboundMessage.from_record(item.fields)
        place = message.channel_type, message.account, message.channel_id
        chat = await self._stores.lanes.item_id("notice", *place)
        text = None if full.noticed == chat else LANE_FULL_TEXT.format(cap=directory.lanes.cap)
        effects = await self._refuse(item.id, message, full.code, text)
        if text:
            effects.append(Notice(full.lane, chat))
        if self._channels.spec_of(message).live:
            event = refused_event(message.message_id)
            effects.append(show_event(message, f"{item.id}.refused", event))
        return effects

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

    async def _refuse(
        self, item_id: str, message: InboundMessage, reason: str, text: str | None
    ) -> list[Effect]:
        effects: list[Effect] = [
            Finish(item_id, Outcome.REFUSED),
            Audit(encode_audit_entry("refused", message=item_id, why=reason)),
        ]
        if text:
            effects.append(await self._replies.push_notice(message, text, item_id))
        return effects


def _reads_as_command(message: InboundMessage) -> bool:
    return message.kind != "edit" and parse_command(message.content) is not None


def _bury_item(item: Item) -> list[Effect]:
    reason = "the message could not be routed"
    return [
        Finish(item.id, Outcome.DEAD, keep_body=True),
        DeadLetter(item.id, Stage.ROUTE, reason),
    ]


def _log_routing(item: Item, effects: Sequence[Effect]) -> None:
    for effect in effects:
        if isinstance(effect, Finish):
            log.info("message ended", message_id=item.id, outcome=effect.outcome.value)
        elif isinstance(effect, Push) and effect.id == item.id:
            log.info("message routed", message_id=item.id, session_id=lane_id(effect.lane))

"""One turn: the messages at the head of a session's lane → an ending, in one commit.

    held lane ─▶ Turn ─▶ still a member? ─▶ model ─▶ Ending ─▶ commit
                 │ items, decoded once       │                  │
                 │ session, kept from turn   │ draft, meanwhile │ stale: the session is
                 │ to turn                   │                  └ read again, not asked
                 └ directory                 └ failover, budget, deadline, stop

A turn that no model can answer for now commits that it waits, and begins anew later (see
`model_wait`). Apart from that it writes nothing before its one commit, which takes the answered
messages off the lane and sends the reply. So a worker that takes over after a crash may group the
messages anew, and each is answered once. What is sent has an id that derives from the turn's first
message, never from the attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from sigil.agent.context import build_question, build_request
from sigil.agent.ending import (
    Ending,
    bury_item,
    end_command,
    end_turn,
    record_calls,
    refuse_stranger,
    write_reply,
)
from sigil.agent.kept_session import load_session
from sigil.agent.model_wait import ModelWait, choose_wait
from sigil.agent.owner_news import OwnerNews, gather_news
from sigil.agent.reply import Reply, add_estimates, read_reply
from sigil.agent.speakers import BOUNDARY_CHARS, write_overheard
from sigil.agent.turn import make_turn, name_turn, read_group
from sigil.channels.live import live_chat_key
from sigil.channels.presences import PresencePlace
from sigil.commands.base import CommandContext
from sigil.commands.table import run_command
from sigil.errors import MessageInvalid, NotAMember, SessionStale, SigilError
from sigil.gate import name_group
from sigil.lanes.effects import Finish, Wait
from sigil.lanes.held import Held, Stopped
from sigil.lanes.lane import LaneStatus, lane_id
from sigil.lanes.replies import Replies, make_reply
from sigil.messages.exchange import InboundMessage
from sigil.outbound.moves import find_lane
from sigil.outbound.presence import Draft, DraftWriter, ShownDraft
from sigil.outbound.showing import shows_anything
from sigil.providers.model_request import ModelRequest
from sigil.workspace.manager import request_route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.agent.attachments import FileGiver
    from sigil.agent.kept_session import KeptSession
    from sigil.agent.turn import Turn, WaitingMessage
    from sigil.channels.router import ChannelRouter
    from sigil.directory import Directory
    from sigil.lanes.effects import Effect
    from sigil.lanes.lane import Item
    from sigil.messages.conversation import Message
    from sigil.providers.chain.failover import FailoverProvider
    from sigil.providers.registry import ProviderRegistry
    from sigil.stores.base import Stores
    from sigil.workspace.manager import WorkspaceManager

log = structlog.get_logger(__name__)


class Agent:
    """Runs turns over the lanes that the gateway holds. A turn waits for a model `most_waits` times
    at most; tests, in which no time passes and no patience ends, set it lower."""

    most_waits: float = math.inf

    def __init__(
        self,
        stores: Stores,
        workspaces: WorkspaceManager,
        channels: ChannelRouter,
        registry: ProviderRegistry,
        files: FileGiver,
    ) -> None:
        self._stores = stores
        self._workspaces = workspaces
        self._channels = channels
        self._registry = registry
        self._files = files
        self._replies = Replies(stores.lanes)
        self._drafts = DraftWriter(stores.chats, stores.presences)

    async def prepare(self) -> None:
        """Loads what the first turn would wait for, and forgets replaced keys."""
        await self._registry.prepare()

    async def handle(self, held: Held, directory: Directory) -> None:
        """Answers the next turn of the lane."""
        group = read_group(held, directory, self._channels)
        turn_id = await name_turn(self._stores, group[0].item)
        with structlog.contextvars.bound_contextvars(
            message_id=group[0].item.id, session_id=lane_id(held.lane), turn_id=turn_id
        ):
            kept, refusal = await self._look_up(held, group, directory)
            turn = make_turn(held, group, turn_id, kept, directory)
            if refusal is not None:
                await self._finish(held, turn, refuse_stranger(turn, refusal))
            elif turn.command is not None:
                await self._run_command(held, turn)
            else:
                await self._answer(held, turn)

    async def give_up(self, held: Held) -> tuple[Sequence[Item], list[Effect]]:
        """The item to be dead-lettered, and the effects that do it. Takes nothing about it for
        granted: reading it may be what fails. Those that were answered with it get tries of their
        own."""
        item = held.items[0]
        log.error("turn dead-lettered", message_id=item.id)
        ending = bury_item(item)
        effects: list[Effect] = [Finish(item.id, ending.outcome, keep_body=True), *ending.effects]
        with contextlib.suppress(MessageInvalid):
            message = InboundMessage.from_record(item.fields)
            turn_id = await name_turn(self._stores, item)
            effects.append(await self._replies.push_reply(message, ending.text or "", turn_id))
        return [item], effects

    async def _look_up(
        self, held: Held, group: Sequence[WaitingMessage], directory: Directory
    ) -> tuple[KeptSession, NotAMember | None]:
        """The session, and why the person may not speak in it, if so."""
        place, sessions = (group[0].route.session_key, group[0].epoch), self._stores.sessions
        if held.memo is None:  # two questions to the store, in the time of one
            return await asyncio.gather(
                load_session(held, *place, sessions), self._find_refusal(group[-1], directory)
            )
        kept = await load_session(held, *place, sessions)
        return kept, await self._find_refusal(group[-1], directory)

    async def _find_refusal(self, last: WaitingMessage, directory: Directory) -> NotAMember | None:
        """Why the person may not speak here any more, if so. Membership was checked at routing; it
        may have changed while the message waited."""
        message, route = last.message, last.route
        request = request_route(message, route.user_id)
        try:
            workspace = await self._workspaces.route(request, directory.workspaces)
        except NotAMember as error:
            return error
        if workspace.id == route.workspace_id:
            return None
        return NotAMember(f"the chat does not belong to {route.workspace_id!r} any more.")

    async def _run_command(self, held: Held, turn: Turn) -> None:
        """A routing worker of an older version passed the command on instead of running it."""
        assert turn.command is not None
        name, argument = turn.command
        idle = LaneStatus(waiting=0)  # it waited for its turn
        while True:
            context = CommandContext(
                argument, turn.route, held.lane, turn.session, turn.directory, self._stores, idle
            )
            ending = end_command(await run_command(name, context))
            try:
                return await self._finish(held, turn, ending)
            except SessionStale:
                turn = await self._reload(held, turn)

    async def _answer(self, held: Held, turn: Turn) -> None:
        # A secret of the store's is in it, so that nobody can guess it.
        boundary = (await self._stores.lanes.item_id("boundary", turn.session.id))[:BOUNDARY_CHARS]
        said, group = await self._list_overheard(turn)
        overheard = write_overheard(said, boundary)
        question = await self._files.keep_links(build_question(turn, boundary, overheard))
        reply = await self._ask(held, turn, question, boundary)
        wait = await self._choose_wait(held, turn, reply)
        news = await gather_news(self._stores, self._replies, turn, reply)
        while True:
            try:
                if wait is not None:
                    return await self._wait(held, turn, reply, wait, news)
                ending = end_turn(
                    turn,
                    question,
                    reply,
                    news,
                    live=self._is_live(turn),
                    buttons=self._channels.spec_of(turn.last).buttons,
                )
                await self._finish(held, turn, ending)
                if said:  # it is in the history now
                    await self._stores.groups.forget_overheard(group, len(said))
                return None
            except SessionStale:
                # The answer is paid for, and it stands: only what is kept of it is made anew.
                turn = await self._reload(held, turn)

    async def _list_overheard(self, turn: Turn) -> tuple[Sequence[tuple[str, str]], str]:
        """What was said to others in the group before, if the workspace wants it, and the group's
        id."""
        most = turn.directory.workspaces.config(turn.route.workspace_id).context
        if turn.last.is_direct or not most:
            return (), ""
        group = await name_group(self._stores.lanes, turn.last)
        return await self._stores.groups.list_overheard(group, most), group

    async def _reload(self, held: Held, turn: Turn) -> Turn:
        """The turn with its session as it is now: somebody else has written it. After /new that
        is the session in which the turn began, not the fresh one."""
        log.info("session read again")
        held.memo, session = None, turn.session
        kept = await load_session(held, session.key, session.epoch, self._stores.sessions)
        return replace(turn, kept=kept)

    async def _choose_wait(self, held: Held, turn: Turn, reply: Reply) -> ModelWait | None:
        if reply.error is None:
            return None
        waits = (await self._stores.lanes.status(held.lane)).waits
        return choose_wait(turn, reply.error, waits) if waits < self.most_waits else None

    async def _wait(
        self, held: Held, turn: Turn, reply: Reply, wait: ModelWait, news: OwnerNews
    ) -> None:
        """Gives the lane back until a model may be called. The notice has the same id however often
        the turn waits, so it is sent once. Raises `SessionStale`; then nothing was applied."""
        effects = [*record_calls(turn, reply), *news.effects, Wait(held.lane, wait.seconds)]
        if wait.notice and self._channels.spec_of(turn.last).notices:
            notice = make_reply(turn.last, wait.notice, answers=())
            message = replace(notice, about=turn.answers)
            effects.append(await self._replies.push_message(message, f"{turn.id}:wait"))
        await held.commit((), effects)
        held.memo = turn.kept.follow(effects)
        log.info("turn waits for a model", seconds=round(wait.seconds, 1), why=str(reply.error))

    async def _finish(self, held: Held, turn: Turn, ending: Ending) -> None:
        """The turn's commit. Raises `SessionStale`; then nothing was applied."""
        effects = [*(Finish(item.id, ending.outcome) for item in turn.items), *ending.effects]
        if ending.text:
            reply = write_reply(turn, ending)
            name = "" if turn.command else turn.id
            effects.append(await self._replies.push_message(reply, turn.id, turn=name))
        await held.finish(turn.items, effects)
        held.memo = turn.kept.follow(effects)
        log.info("turn ended", outcome=ending.outcome.value, items=len(turn.items))

    async def _ask(self, held: Held, turn: Turn, question: Message, boundary: str) -> Reply:
        """What the models reply, until the end, the deadline or a stop.

        No commit comes before the call. A lease that is lost by then ends the turn with its next
        renewal, and its commit is refused: until then it costs a call, and nobody sees it.
        """
        reply, request, started = Reply(), None, time.monotonic()
        try:
            chain = self._make_chain(turn)
        except SigilError as error:  # the budget is used up, or no model can be called
            reply.error = error
            return reply
        reply.attempts = chain.attempts
        draft = await self._open_draft(held, turn)
        try:
            async with held.stoppable(), asyncio.timeout(turn.directory.timeouts.turn):
                request = build_request(
                    turn,
                    question,
                    boundary=boundary,
                    hint=self._channels.spec_of(turn.last).hint,
                    lane=held.lane,
                    user=await self._stores.lanes.item_id("user", turn.route.user_id),
                )
                attached = await self._files.attach(request, turn.messages, boundary)
                request, reply.notes = attached.request, attached.notes
                if not attached.answers_nothing:
                    await read_reply(chain, request, draft, reply)
                    await attached.note_blindness(chain, reply)
                if reply.error is not None:
                    await draft.clear()
        except Stopped:
            reply.is_stopped = True
        except TimeoutError:
            reply.is_late = True
        finally:
            draft.close()
        reply.seconds = time.monotonic() - started
        if request is not None:
            add_estimates(reply, request)
        return reply

    def _make_chain(self, turn: Turn) -> FailoverProvider:
        directory, session, workspace_id = turn.directory, turn.session, turn.route.workspace_id
        budgets = directory.open_budgets(self._stores.budgets)
        choice = directory.models.admit(workspace_id, session.model)
        return self._registry.chain(
            ModelRequest(workspace_id, choice, turn.budget),
            order=directory.models,
            cooldowns=directory.model_settings.cooldowns,
            model_call=directory.timeouts.model_call,
            idle_stream=directory.timeouts.idle_stream,
            meter=budgets.open_meter(
                session_key=session.key,
                user_id=turn.route.user_id,
                workspace_id=turn.route.scope,
            ),
        )

    async def _open_draft(self, held: Held, turn: Turn) -> Draft:
        message = turn.last
        spec = self._channels.spec_of(message)
        if shows_anything(spec):
            lane = await find_lane(self._stores.lanes, message)
            place = PresencePlace.of(message, lane)
            return ShownDraft(self._drafts, place, turn.id, held.token)
        chat = live_chat_key(message.channel_type, message.account, message.channel_id)
        writer = self._drafts if spec.live else None
        return Draft(writer, chat, turn.id, held.token, turn.answers)

    def _is_live(self, turn: Turn) -> bool:
        return self._channels.spec_of(turn.last).live

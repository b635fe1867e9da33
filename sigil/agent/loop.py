"""One turn: the messages at the head of a session's lane → an ending, in one commit.

    held lane ─▶ Turn ─▶ still a member? ─▶ command? ─▶ model ─▶ Ending ─▶ commit
                 │ items, decoded once                  │
                 │ session, directory                   │ draft, meanwhile
                 └ journal fixes the items              └ failover, budget, deadline, stop

A turn's first write fixes which messages it answers, so that a worker that takes over after a
crash answers the same ones. Everything that is sent has an id that derives from the first of
them, never from the attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from sigil.agent.context import build_question, build_request
from sigil.agent.ending import Ending, bury_items, end_command, end_turn, refuse_stranger
from sigil.agent.journal import begin_journal, count_begun_items
from sigil.agent.reply import Reply, add_estimates, read_reply
from sigil.agent.turn import make_turn, name_turn
from sigil.channels.live import live_chat_key
from sigil.commands.base import CommandContext
from sigil.commands.table import run_command
from sigil.errors import MessageInvalid, NotAMember, SigilError
from sigil.lanes.effects import Finish
from sigil.lanes.held import Held, Stopped
from sigil.lanes.lane import lane_id
from sigil.lanes.replies import Replies
from sigil.messages.exchange import InboundMessage, fit_reply
from sigil.outbound.presence import Draft
from sigil.providers.model_request import ModelRequest
from sigil.workspace.manager import RouteRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.agent.turn import Turn
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
    """Runs turns over the lanes that the gateway holds."""

    def __init__(
        self,
        stores: Stores,
        workspaces: WorkspaceManager,
        channels: ChannelRouter,
        registry: ProviderRegistry,
    ) -> None:
        self._stores = stores
        self._workspaces = workspaces
        self._channels = channels
        self._registry = registry
        self._replies = Replies(stores.lanes)

    async def prepare(self) -> None:
        """Loads what the first turn would wait for."""
        await self._registry.prepare()

    async def handle(self, held: Held, directory: Directory) -> None:
        """Answers the next turn of the lane."""
        turn = await make_turn(held, directory, self._channels, self._stores)
        with structlog.contextvars.bound_contextvars(
            message_id=turn.items[0].id, session_id=lane_id(held.lane), turn_id=turn.id
        ):
            ending = await self._run(held, turn)
            effects = [*(Finish(item.id, ending.outcome) for item in turn.items), *ending.effects]
            if ending.text:
                text = fit_reply(ending.text)
                effects.append(await self._replies.push_reply(turn.last, text, turn.id))
            await held.finish(turn.items, effects)
            log.info("turn ended", outcome=ending.outcome.value, items=len(turn.items))

    async def give_up(self, held: Held) -> tuple[Sequence[Item], list[Effect]]:
        """The items to be dead-lettered, and the effects that do it. Takes nothing about them for
        granted: reading them may be what fails."""
        items = held.items[: count_begun_items(held) or 1]
        log.error("turn dead-lettered", items=len(items), message_id=items[0].id)
        ending = bury_items(items)
        ends = [Finish(item.id, ending.outcome, keep_body=True) for item in items]
        effects: list[Effect] = [*ends, *ending.effects]
        with contextlib.suppress(MessageInvalid):
            message = InboundMessage.from_json(items[-1].fields.get("body", ""))
            turn_id = await name_turn(self._stores, items)
            effects.append(await self._replies.push_reply(message, ending.text or "", turn_id))
        return items, effects

    async def _run(self, held: Held, turn: Turn) -> Ending:
        try:
            await self._check_membership(turn)
        except NotAMember as error:
            return refuse_stranger(turn, error)
        if turn.command is not None:
            name, argument = turn.command
            context = CommandContext(
                argument, turn.route, held.lane, turn.session, turn.directory, self._stores
            )
            return end_command(await run_command(name, context))
        question = build_question(turn)
        reply = await self._ask(held, turn, question)
        return end_turn(turn, question, reply)

    async def _check_membership(self, turn: Turn) -> None:
        """Raises `NotAMember`. Membership was checked at routing; it may have changed while the
        message waited."""
        message, route = turn.last, turn.route
        request = RouteRequest(message.channel_type, message.channel_id, route.user_id)
        workspace = await self._workspaces.route(request, turn.directory.workspaces)
        if workspace.id != route.workspace_id:
            raise NotAMember(f"the chat does not belong to {route.workspace_id!r} any more.")

    async def _ask(self, held: Held, turn: Turn, question: Message) -> Reply:
        """What the models reply, until the end, the deadline or a stop."""
        reply, request = Reply(), None
        try:
            chain = self._make_chain(turn)
        except SigilError as error:  # the budget is used up, or no model can be called
            reply.error = error
            return reply
        await held.commit(effects=begin_journal(held, turn.items), keep=True)
        draft = self._open_draft(held, turn)
        try:
            async with held.stoppable(), asyncio.timeout(turn.directory.timeouts.turn):
                request = build_request(
                    turn,
                    question,
                    hint=self._channels.get(turn.last.channel_type).capabilities.hint,
                    lane=held.lane,
                    user=await self._stores.lanes.item_id("user", turn.route.user_id),
                )
                await read_reply(chain, request, draft, reply)
        except Stopped:
            reply.is_stopped = True
        except TimeoutError:
            reply.is_late = True
        finally:
            await draft.close()
        reply.attempts = list(chain.attempts)
        if request is not None:
            add_estimates(reply, request)
        return reply

    def _make_chain(self, turn: Turn) -> FailoverProvider:
        directory, session = turn.directory, turn.session
        budgets = directory.open_budgets(self._stores.budgets)
        return self._registry.chain(
            ModelRequest(turn.route.workspace_id, session.model, turn.budget),
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

    def _open_draft(self, held: Held, turn: Turn) -> Draft:
        message = turn.last
        live = self._channels.get(message.channel_type).capabilities.live
        chat = live_chat_key(message.channel_type, message.account, message.channel_id)
        return Draft(self._stores.chats if live else None, chat, turn.id, held.token)

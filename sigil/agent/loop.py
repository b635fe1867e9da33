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

from sigil.agent import wording
from sigil.agent.context import build_question, build_request, session_budget
from sigil.agent.ending import Ending, bury_items, end_command, end_turn, refuse_stranger
from sigil.agent.journal import begin_journal, count_begun_items
from sigil.agent.reply import Reply, add_estimates, read_reply
from sigil.agent.turn import Turn, group_messages
from sigil.channels.live import live_chat_key
from sigil.commands.base import CommandContext
from sigil.commands.table import parse_command, run_command
from sigil.effects import Finish
from sigil.errors import MessageInvalid, NotAMember, SigilError
from sigil.lanes import lane_id
from sigil.leases import Held, Stopped
from sigil.messages import InboundMessage, fit_reply
from sigil.outbound.presence import Draft
from sigil.providers.model_request import ModelRequest
from sigil.replies import Replies
from sigil.sessions import decode_item
from sigil.workspace import RouteRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sigil.channels.router import ChannelRouter
    from sigil.conversation import Message
    from sigil.directory import Directory
    from sigil.effects import Effect
    from sigil.lanes import Item
    from sigil.providers.chain.failover import FailoverProvider
    from sigil.providers.model_request import Budget
    from sigil.providers.registry import ProviderRegistry
    from sigil.stores.base import Stores
    from sigil.workspace import WorkspaceManager

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
        turn = await self._make_turn(held, directory)
        with structlog.contextvars.bound_contextvars(
            message_id=turn.items[0].id, session_id=lane_id(held.lane), turn_id=turn.id
        ):
            ending = await self._answer(held, turn)
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
        effects = bury_items(items)
        with contextlib.suppress(MessageInvalid):
            message = InboundMessage.from_json(items[-1].fields.get("body", ""))
            turn_id = await self._name_turn(items)
            effects.append(await self._replies.push_reply(message, wording.DEAD, turn_id))
        return items, effects

    async def _make_turn(self, held: Held, directory: Directory) -> Turn:
        begun = count_begun_items(held)
        if begun:
            # Another worker grouped them before; the grouping of now might be another one.
            grouped = [decode_item(item.fields) for item in held.items[:begun]]
        else:
            grouped = group_messages(held.items, directory, self._channels)
        items = held.items[: len(grouped)]
        route = grouped[0][1]
        return Turn(
            id=await self._name_turn(items),
            items=items,
            messages=tuple(message for message, _ in grouped),
            route=route,
            session=await self._stores.sessions.load(route.session_key),
            directory=directory,
        )

    async def _name_turn(self, items: Sequence[Item]) -> str:
        return await self._stores.lanes.item_id("turn", items[0].id)

    async def _answer(self, held: Held, turn: Turn) -> Ending:
        try:
            await self._check_membership(turn)
        except NotAMember as error:
            return refuse_stranger(turn, error)
        command = parse_command(turn.last.content)
        if command is None:
            return await self._converse(held, turn)
        name, argument = command
        context = CommandContext(
            argument, turn.route, held.lane, turn.session, turn.directory, self._stores
        )
        return end_command(await run_command(name, context))

    async def _check_membership(self, turn: Turn) -> None:
        """Raises `NotAMember`. Membership was checked at routing; it may have changed while the
        message waited."""
        message, route = turn.last, turn.route
        request = RouteRequest(message.channel_type, message.channel_id, route.user_id)
        workspace = await self._workspaces.route(request, turn.directory.workspaces)
        if workspace.id != route.workspace_id:
            raise NotAMember(f"the chat does not belong to {route.workspace_id!r} any more.")

    async def _converse(self, held: Held, turn: Turn) -> Ending:
        question = build_question(turn.messages)
        budget = session_budget(turn)
        try:
            chain = self._make_chain(turn, budget)
        except SigilError as error:  # the budget is used up, or no model can be called
            return end_turn(turn, question, Reply(error=error))
        await held.commit(effects=begin_journal(held, turn.items), keep=True)
        return end_turn(turn, question, await self._ask(held, turn, chain, question, budget))

    def _make_chain(self, turn: Turn, budget: Budget) -> FailoverProvider:
        directory, session = turn.directory, turn.session
        budgets = directory.open_budgets(self._stores.budgets)
        return self._registry.chain(
            ModelRequest(turn.route.workspace_id, session.model, budget),
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

    async def _ask(
        self, held: Held, turn: Turn, chain: FailoverProvider, question: Message, budget: Budget
    ) -> Reply:
        """What the models reply, until the end, the deadline or a stop."""
        reply, request = Reply(), None
        draft = self._open_draft(held, turn)
        try:
            async with held.stoppable(), asyncio.timeout(turn.directory.timeouts.turn):
                request = build_request(
                    turn,
                    question,
                    hint=self._channels.get(turn.last.channel_type).capabilities.hint,
                    lane=held.lane,
                    budget=budget,
                    user=await self._stores.lanes.item_id("user", turn.route.user_id),
                )
                await read_reply(chain, request, draft, reply)
        except Stopped:
            reply.is_stopped, reply.note = True, wording.STOPPED
        except TimeoutError:
            reply.note = wording.TOO_LONG
        finally:
            await draft.close()
        reply.attempts = list(chain.attempts)
        if request is not None:
            add_estimates(reply, request)
        return reply

    def _open_draft(self, held: Held, turn: Turn) -> Draft:
        message = turn.last
        live = self._channels.get(message.channel_type).capabilities.live
        chat = live_chat_key(message.channel_type, message.account, message.channel_id)
        return Draft(self._stores.chats if live else None, chat, turn.id, held.token)

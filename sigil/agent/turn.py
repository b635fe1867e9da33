"""One turn: the messages at the head of a session's lane → an answer, in one commit.

A turn's first write fixes which messages it answers, so that a worker that takes over after
a crash answers the same ones. Everything that is sent has an id that derives from the first
of them, never from the attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from sigil import logs
from sigil.agent import commands, wording
from sigil.agent.answer import Answer, add_uncounted, ask
from sigil.agent.choose import Turn, begin, choose, journalled
from sigil.agent.prompt import pictures, system_prompt, user_text
from sigil.agent.record import audit, kept_of, used
from sigil.conversation import Message, decode_message, window
from sigil.effects import Audit, DeadLetter, Effect, Finish, Outcome, Stage
from sigil.errors import (
    BudgetExceeded,
    MessageInvalid,
    NotAMember,
    SigilError,
)
from sigil.lanes import Item, lane_id
from sigil.leases import Held, Stopped
from sigil.messages import InboundMessage, fit_reply
from sigil.money.budgets import Budgets, Standing
from sigil.outbound.presence import Draft
from sigil.providers.base import ChatRequest
from sigil.providers.chain.record import AttemptRecord
from sigil.providers.model_request import Budget, ModelRequest
from sigil.replies import Replies
from sigil.routing import coalesces
from sigil.sessions import read_route
from sigil.workspace import RouteRequest, Workspace, WorkspaceManager

if TYPE_CHECKING:
    from sigil.channels.router import ChannelRouter
    from sigil.config import Settings
    from sigil.providers.chain.failover import FailoverProvider
    from sigil.providers.registry import ProviderRegistry
    from sigil.sessions import SessionRecord
    from sigil.stores.base import Stores

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Result:
    """What the commit will hold."""

    outcome: Outcome
    text: str | None = None
    effects: list[Effect] = field(default_factory=list)


class Agent:
    """Runs turns over the lanes that the gateway holds."""

    def __init__(
        self,
        stores: Stores,
        workspaces: WorkspaceManager,
        channels: ChannelRouter,
        registry: ProviderRegistry,
        budgets: Budgets,
        settings: Settings,
    ) -> None:
        self._stores = stores
        self._workspaces = workspaces
        self._channels = channels
        self._registry = registry
        self._budgets = budgets
        self._settings = settings
        self._replies = Replies(stores.lanes)

    async def prepare(self) -> None:
        """Loads what the first turn would wait for."""
        await self._registry.prepare()

    async def turn(self, held: Held) -> None:
        """Answers the next turn of the lane, or ends what is to be stopped or given up."""
        if held.stop:
            stopped = held.items[: held.stop]
            await held.finish(stopped, [Finish(item.id, Outcome.STOPPED) for item in stopped])
            return
        if held.strikes >= self._settings.lanes.max_strikes:
            await self._give_up(held)
            return
        items = choose(held, self._coalesces)
        read = [read_route(item.fields) for item in items]
        messages = tuple(message for message, _ in read)
        turn = Turn(await self._turn_id(items), items, messages, read[0][1])
        with logs.context(message=items[0].id, session=lane_id(held.lane), turn=turn.id):
            result = await self._answer(held, turn)
            effects = [Finish(i, result.outcome) for i in turn.ids] + result.effects
            if result.text:
                effects.append(await self._replies.to(turn.last, fit_reply(result.text), turn.id))
            await held.finish(items, effects)
            log.info("turn ended", outcome=result.outcome.value, items=len(items))

    async def _turn_id(self, items: Sequence[Item]) -> str:
        return await self._stores.lanes.item_id("turn", items[0].id)

    def _coalesces(self, channel: str) -> bool:
        return coalesces(self._settings, self._channels, channel)

    async def _give_up(self, held: Held) -> None:
        """Dead-letters the head. Takes nothing about it for granted: reading it may be what
        fails."""
        items = held.items[: journalled(held) or 1]
        log.error("turn dead-lettered", items=len(items), message_id=items[0].id)
        reason = "the turn was begun too often without an end"
        effects: list[Effect] = [Finish(item.id, Outcome.DEAD, keep_body=True) for item in items]
        effects += [DeadLetter(item.id, Stage.TURN, reason) for item in items]
        effects.append(Audit(json.dumps({"what": "dead", "message": items[0].id})))
        with contextlib.suppress(MessageInvalid):
            told = InboundMessage.from_json(items[-1].fields.get("body", ""))
            turn_id = await self._turn_id(items)
            effects.append(await self._replies.to(told, wording.DEAD, turn_id))
        await held.finish(items, effects)

    # ------------------------------------------------------------ what is answered

    async def _answer(self, held: Held, turn: Turn) -> _Result:
        message = turn.last
        try:
            workspace = await self._workspace(turn)
        except NotAMember as error:
            return _Result(
                Outcome.REFUSED,
                self._settings.policy(message.channel_type).refusal,
                [audit("refused", turn, why=error.code)],
            )
        session = await self._stores.sessions.load(turn.route.session_key)
        command = commands.parse(message.content)
        if command is not None:
            return await self._command(command, turn, workspace, session)
        return await self._converse(held, turn, workspace, session)

    async def _workspace(self, turn: Turn) -> Workspace:
        """Membership is checked again: it may have changed while the message waited."""
        message, route = turn.last, turn.route
        workspace = await self._workspaces.route(
            RouteRequest(message.channel_type, message.channel_id, route.user_id)
        )
        if workspace.id != route.workspace_id:
            raise NotAMember(f"the chat does not belong to {route.workspace_id!r} any more.")
        return workspace

    async def _command(
        self, command: tuple[str, str], turn: Turn, workspace: Workspace, session: SessionRecord
    ) -> _Result:
        user = turn.route.user_id
        today: Mapping[str, int] = {}
        standings: Sequence[Standing] = ()
        if command[0] == "usage":
            day = datetime.now(UTC).strftime("%Y-%m-%d")
            today = await self._stores.budgets.usage("user", user, day)
            # What everybody together may spend is the owner's to know.
            limits = self._budgets.limits(session.key, user, workspace.scope)
            standings = await self._budgets.overview([x for x in limits if x.scope != "all"])
        asked = commands.Asked(
            session,
            turn.route.workspace_id,
            self._settings,
            today,
            standings,
            self._registry.names(),
        )
        reply = commands.run(*command, asked)
        return _Result(Outcome.ANSWERED, reply.text, list(reply.effects))

    async def _converse(
        self, held: Held, turn: Turn, workspace: Workspace, session: SessionRecord
    ) -> _Result:
        said = Message("user", user_text(turn.messages), images=pictures(turn.messages))
        try:
            chain = self._chain(workspace, session, turn)
        except BudgetExceeded as error:
            return _Result(Outcome.REFUSED, wording.over_budget(error), [_refused(turn, error)])
        except SigilError as error:
            return self._failed(turn, workspace, session, said, Answer(error=error))
        await held.commit(effects=begin(held, turn), keep=True)
        draft = self._draft(held, turn)
        answer = Answer()
        outcome = Outcome.ANSWERED
        request: ChatRequest | None = None
        try:
            async with held.stoppable(), asyncio.timeout(self._settings.timeouts.turn):
                request = await self._request(held, turn, session, said)
                await ask(chain, request, draft, answer)
        except Stopped:
            outcome = Outcome.STOPPED
            answer.note = "_Stopped._"
        except TimeoutError:
            answer.note = wording.TOO_LONG
        finally:
            await draft.close()
        answer.attempts = list(chain.attempts)
        if request is not None:
            add_uncounted(answer, request)
        if isinstance(answer.error, BudgetExceeded):
            # What other models used, before there was no money for this one, is used.
            spent = used(turn, workspace, session, answer.usage, turns=0)
            why = _refused(turn, answer.error, answer.attempts)
            return _Result(Outcome.REFUSED, wording.over_budget(answer.error), [spent, why])
        if answer.error is not None:
            return self._failed(turn, workspace, session, said, answer)
        return self._answered(turn, workspace, session, said, answer, outcome)

    def _chain(self, workspace: Workspace, session: SessionRecord, turn: Turn) -> FailoverProvider:
        timeouts = self._settings.timeouts
        return self._registry.chain(
            ModelRequest(workspace.id, session.model, self._budget(session)),
            model_call=timeouts.model_call,
            idle_stream=timeouts.idle_stream,
            meter=self._budgets.meter(
                session_key=session.key, user_id=turn.route.user_id, workspace_id=workspace.scope
            ),
        )

    async def _request(
        self, held: Held, turn: Turn, session: SessionRecord, said: Message
    ) -> ChatRequest:
        channel = turn.last.channel_type
        hint = self._channels.get(channel).capabilities.hint
        past = [decode_message(text) for text in session.messages]
        models = self._settings.models
        return ChatRequest(
            model="",  # each candidate of the chain puts its own
            messages=tuple(window([*past, said], self._settings.agent.window)),
            system_prompt=system_prompt(self._settings, turn.route.workspace_id, channel, hint),
            max_tokens=self._max_tokens(session),
            temperature=models.temperature,
            session=lane_id(held.lane),
            user=await self._stores.lanes.item_id("user", turn.route.user_id),
        )

    def _max_tokens(self, session: SessionRecord) -> int:
        """The longest answer; what is left of the session's budget, if that is less."""
        most, budget = self._settings.models.max_tokens, self._budget(session)
        if budget.max_session_tokens is None:
            return most
        return max(1, min(most, budget.max_session_tokens - budget.used_session_tokens))

    def _draft(self, held: Held, turn: Turn) -> Draft:
        message = turn.last
        live = self._channels.get(message.channel_type).capabilities.live
        chat = f"{message.channel_type}:{message.channel_id}"
        return Draft(self._stores.chats if live else None, chat, turn.id, held.token)

    def _budget(self, session: SessionRecord) -> Budget:
        # Dollars are enforced by reservations, call by call.
        return Budget(
            max_session_tokens=self._settings.budgets.max_session_tokens,
            used_session_tokens=session.input_tokens + session.output_tokens,
        )

    # ------------------------------------------------------------ what is kept of it

    def _answered(
        self,
        turn: Turn,
        workspace: Workspace,
        session: SessionRecord,
        said: Message,
        answer: Answer,
        outcome: Outcome,
    ) -> _Result:
        text = fit_reply(answer.text).strip()
        if not text and not answer.note:
            answer.note = wording.EMPTY
        kept = [said, Message(role="assistant", content=text)] if text else [said]
        effects = kept_of(turn, workspace, session, kept, answer, self._settings.agent.window)
        shown = "\n\n".join(part for part in (text, answer.note) if part)
        if outcome is Outcome.STOPPED and not text:
            shown = ""
        return _Result(outcome, shown, effects)

    def _failed(
        self,
        turn: Turn,
        workspace: Workspace,
        session: SessionRecord,
        said: Message,
        answer: Answer,
    ) -> _Result:
        """That all providers failed is an answer too: short, honest, and the owner sees why."""
        log.warning("no model answered", reason=str(answer.error))
        effects = kept_of(turn, workspace, session, [said], answer, self._settings.agent.window)
        return _Result(Outcome.ANSWERED, wording.failure(answer.error), effects)


def _refused(turn: Turn, error: BudgetExceeded, attempts: Sequence[AttemptRecord] = ()) -> Audit:
    return audit("refused", turn, attempts, why=error.code, detail=error.message)

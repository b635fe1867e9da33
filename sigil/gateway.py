"""The verbs in order: receive, route, turn, deliver; recover, and what all lanes have in common.

    receive ══ inbound lane ══▶ route ══ session lane ══▶ turn ══ delivery lane ══▶ deliver
               (one per chat)            (one per session)        (one per destination)

This is the one place that takes lanes, and it owns the policy for errors, the same for all lanes:
what is transient is left to the lane, which keeps its head and falls due again; what a newer
process wrote for newer ones is left to one of them; what is broken counts a strike; after enough
strikes the head is given up, so that it cannot hold up the rest; what is to be stopped is ended.
What is done with a lane in hand is a step's: routing's, the agent's, delivery's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from sigil.channels.base import Acceptance, Report
from sigil.channels.live import dropped_event, show_event, user_event
from sigil.errors import ChannelNotFound, LeaseLost, MessageInvalid, RecordTooNew, StoreError
from sigil.gate import Gate
from sigil.lanes.effects import Accept, Effect, Finish, Outcome, Push, Stage
from sigil.lanes.fleet import MOST_WAKEUPS_WAITING, LeftLanes
from sigil.lanes.held import Held
from sigil.lanes.lane import Item, LaneKind, Pushed, Refusal, Wakeups
from sigil.lanes.leases import LeaseKeeper
from sigil.lanes.replies import Replies
from sigil.messages.exchange import InboundMessage, OutboundMessage
from sigil.metrics import StageTimes
from sigil.outbound.sending import Retry

if TYPE_CHECKING:
    from sigil.agent.loop import Agent
    from sigil.channels.router import ChannelRouter
    from sigil.directory import Directory, LiveDirectory
    from sigil.outbound.delivery import Delivery
    from sigil.routing import Routing
    from sigil.stores.base import Stores

log = structlog.get_logger(__name__)

T = TypeVar("T")

ERROR_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
FORGOTTEN_EVERY_S = 2.0
TOO_NEW_PAUSE_S = 2.0  # and up to a second more, so that many lanes do not come back at once


class Step(Protocol):
    """What is done with a lane in hand."""

    async def handle(self, held: Held, directory: Directory) -> None:
        """Handles what is at the head and commits it. It is called again as long as the lane is
        in hand."""
        ...

    async def give_up(self, held: Held) -> tuple[Sequence[Item], Sequence[Effect]]:
        """The items at the head that failed too often, and the effects that end them."""
        ...


class Gateway:
    """Everything a process does with messages. Made by `sigil.bootstrap.build`."""

    def __init__(
        self,
        *,
        stores: Stores,
        directory: LiveDirectory,
        channels: ChannelRouter,
        routing: Routing,
        agent: Callable[[], Agent],
        delivery: Delivery,
        wakeups: Wakeups,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.stores = stores
        self.directory = directory
        self.channels = channels
        self.wakeups = wakeups
        self.times = StageTimes()
        self.keeper = LeaseKeeper(stores.lanes, wakeups, lambda: directory.current.lease_terms)
        self._routing = routing
        self._make_agent = agent  # on first use, so that only agent workers load model SDKs
        self._agent: Agent | None = None
        self._delivery = delivery
        self._close = close
        self.left_lanes = LeftLanes()
        self._replies = Replies(stores.lanes)
        self._gate = Gate(stores.groups, stores.lanes)
        self._look_for_forgotten_at = 0.0  # by the monotonic clock
        self._failing: set[str] = set()  # parts of the recovery

    # ------------------------------------------------------------ the verbs

    async def receive(self, message: InboundMessage) -> Acceptance:
        """Stores a message once and puts it on its chat's lane, in one step. One that the gate does
        not let pass (`sigil.gate`) is stored nowhere; one of a sender who writes too much is
        accepted and ends as refused.

        Only when this returned may the platform be told that the update was taken.
        Raises `ChannelNotFound` or `StoreError`; then nothing was stored.
        """
        started = time.monotonic()
        spec = self.channels.spec_of(message)
        chat = (message.channel_type, message.account, message.channel_id)
        lane = await self.stores.lanes.key(LaneKind.INBOUND, message.channel_type, *chat)
        what = () if message.kind == "message" else (message.kind, message.revision or "")
        item_id = await self.stores.lanes.item_id(*chat, message.message_id, *what)
        directory = self.directory.current
        if not await self._gate.admits(message, item_id, directory):
            return Acceptance(item_id, duplicate=False)
        effects: list[Effect] = [Accept(item_id)]
        if spec.live:
            effects.append(show_event(message, item_id, user_event(message)))
        limit = await self._gate.find_limit(message, directory)
        push = Push(lane, item_id, message.to_record(), limit=limit)
        pushed = await self.stores.lanes.push(push, effects)
        wake = pushed.wake
        if pushed.refused:
            wake = await self._say_over_limit(item_id, message, pushed)
        for woken in wake:
            self.wakeups.wake(woken)
        self.times.observe(Stage.RECEIVE, time.monotonic() - started)
        log.info("message accepted", message_id=item_id, lane=lane, duplicate=pushed.duplicate)
        return Acceptance(item_id, pushed.duplicate)

    async def _say_over_limit(
        self, item_id: str, message: InboundMessage, pushed: Pushed
    ) -> tuple[str, ...]:
        """The message has ended already, so a failure here is no reason to send it again."""
        first, directory = pushed.first_refused, self.directory.current
        log.info("message refused at the gate", message_id=item_id, first=first)
        try:
            return await self._routing.say_over_limit(item_id, message, directory, first=first)
        except StoreError as error:
            log.warning("nobody was told of it", message_id=item_id, reason=str(error))
            return ()

    async def route(self, lane: str) -> None:
        """Moves the messages at the head of a chat's lane to their sessions."""
        await self._work(Stage.ROUTE, lane, self._routing)

    async def turn(self, lane: str) -> None:
        """Answers the messages at the head of a session's lane. Raises `ConfigError` if the
        configured providers cannot be made; then no message is touched."""
        await self._work(Stage.TURN, lane, self.load_agent())

    async def deliver(self, lane: str) -> None:
        """Sends the messages at the head of a destination's lane."""
        await self._work(Stage.DELIVER, lane, self._delivery)

    async def recover(self) -> float | None:
        """Wakes the lanes whose time has come, and settles what workers that died had reserved;
        returns the seconds until the next lane falls due, or None if none will. No more lanes are
        woken than there is room for wake-ups before the workers of their kind. Raises `StoreError`
        if the lanes could not be swept; whatever else fails does not keep it from the lanes."""
        rooms = await asyncio.gather(*map(self._find_room, LaneKind))
        swept = await self.stores.lanes.sweep(room=dict(zip(LaneKind, rooms, strict=True)))
        self.wakeups.wake_again(swept.wake, together=self.wakeups.lanes_per_wakeup)
        for lane, why in swept.quarantined.items():
            log.error("lane put into quarantine", lane=lane, reason=why)
        await self._try(self.stores.budgets.expire_holds)
        if time.monotonic() >= self._look_for_forgotten_at:
            self._look_for_forgotten_at = time.monotonic() + FORGOTTEN_EVERY_S
            for forgotten in await self._try(self.stores.lanes.find_forgotten) or ():
                log.warning("lane put back into the index of due lanes", lane=forgotten)
        return swept.next_due

    async def _try(self, part: Callable[[], Awaitable[T]]) -> T | None:
        """Runs a part of the recovery. A failure is logged once, and then again after a success."""
        name = part.__name__
        try:
            answer = await part()
        except StoreError as error:
            if name not in self._failing:
                log.error("a part of the recovery failed", part=name, reason=str(error))
                self._failing.add(name)
            return None
        self._failing.discard(name)
        return answer

    async def _find_room(self, kind: LaneKind) -> int:
        """How many lanes can be woken before the workers of this kind are behind."""
        try:
            waiting = await self.wakeups.backlog(kind.stage)
        except StoreError:  # the broker; the sweep goes on without it
            waiting = 0
        return max(0, MOST_WAKEUPS_WAITING + 1 - waiting) * self.wakeups.lanes_per_wakeup

    async def notify(self, message: OutboundMessage) -> str:
        """Puts a message on its destination's lane; returns its id.

        Raises `ChannelNotFound` or `StoreError`; then nothing was stored.
        """
        self.channels.spec_of(message)
        push = await self._replies.push_message(message, uuid.uuid4().hex)
        for lane in (await self.stores.lanes.push(push)).wake:
            self.wakeups.wake(lane)
        return push.id

    async def report(self, account: str, key: str, outcome: Report) -> None:
        """Takes a platform's later word on a message that was sent. `account` is the configured
        entry; `key` is the platform's id of the message, or the id of the chunk.

        It updates the receipt, and a failure makes the message undelivered; nobody is answered. A
        key that is not known, or not yet, is no error. Raises `StoreError`.
        """
        messages = self.stores.messages
        found, is_news = await messages.report(account, key, outcome.state, outcome.reason)
        if is_news:
            log.warning(
                "the platform says that it could not deliver",
                channel=account,
                message_id=found,
                reason=outcome.reason,
            )

    # ------------------------------------------------------------ the work on a lane

    async def _work(self, stage: Stage, lane: str, step: Step) -> None:
        if self.keeper.draining:
            return
        started = time.monotonic()
        bound = structlog.contextvars.bind_contextvars(lane=lane, stage=stage.value)
        try:
            async with self.keeper.hold(lane) as held:
                if isinstance(held, Refusal):
                    return
                async with self._give_back(held):
                    await self._handle(held, step)
            self.times.observe(stage, time.monotonic() - started)
        except LeaseLost:
            log.warning("lease lost, another worker goes on")
        except StoreError as error:
            log.warning("left to the sweep", reason=str(error))
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _handle(self, held: Held, step: Step) -> None:
        directory = await self.directory.read(held.directory_version)
        while not held.given_back:
            if held.stop:
                items = held.items[: held.stop]
                await held.finish(items, [each for item in items for each in self._drop(item)])
            elif held.strikes >= directory.lanes.max_strikes:
                await held.finish(*await step.give_up(held))
            else:
                await step.handle(held, directory)

    @contextlib.asynccontextmanager
    async def _give_back(self, held: Held) -> AsyncIterator[None]:
        """However the work ends, the lane is not kept longer than needed."""
        try:
            yield
        except LeaseLost:
            raise
        except asyncio.CancelledError:
            if not held.given_back and not held.is_lost:
                with contextlib.suppress(StoreError):
                    await held.park()
            raise
        except Retry as retry:
            await held.park(retry.delay)
        except RecordTooNew as error:
            await self._leave(held, error)
        except (Exception, SystemExit) as error:  # a plug-in's exit would end the process
            if isinstance(error, StoreError) and error.transient:
                log.warning("the store failed, the lane rests", reason=str(error))
                await held.park(ERROR_PAUSE_S)
            else:
                log.exception("work on the lane failed")
                pause = min(LONGEST_PAUSE_S, ERROR_PAUSE_S * 2**held.strikes)
                await held.park(pause, strike=True)
        else:
            if not held.given_back:
                await held.park()

    async def _leave(self, held: Held, error: RecordTooNew) -> None:
        """Leaves a lane to a newer process, which takes it at one of its next due times."""
        if self.left_lanes.note(held.lane):
            log.warning("lane left to a newer process", reason=str(error))
        await held.park(TOO_NEW_PAUSE_S + random.random())  # noqa: S311  # no secret

    def _drop(self, item: Item) -> list[Effect]:
        """The effects that end a message which was stopped while it waited. Where people watch the
        chat, it is marked."""
        effects: list[Effect] = [Finish(item.id, Outcome.STOPPED)]
        with contextlib.suppress(ChannelNotFound, MessageInvalid):
            message = InboundMessage.from_record(item.fields)
            if self.channels.spec_of(message).live:
                event = dropped_event(message.message_id)
                effects.append(show_event(message, f"{item.id}.dropped", event))
        return effects

    # ------------------------------------------------------------ what turns need

    def load_agent(self) -> Agent:
        """Makes ready what turns need; an agent worker does so when it starts, so that a
        provider that cannot be made stops it there. Raises `ConfigError`."""
        if self._agent is None:
            self._agent = self._make_agent()
        return self._agent

    async def prepare(self) -> None:
        """Loads what the first step would wait for, beside the steps."""
        if self._agent is not None:
            await self._agent.prepare()

    async def close(self) -> None:
        """Gives back connections of channels, providers and stores."""
        for entry in self.channels.entries:
            await entry.close()
        await self._close()

"""The verbs in order: receive, route, turn, deliver, recover.

This is the one place that takes lanes and owns the policy for errors: what is transient is
left to the lane (which keeps its head and falls due again), what is broken counts a strike,
and after enough strikes the head is dead-lettered, so that it cannot hold up the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from sigil.channels.base import Acceptance
from sigil.effects import Accept, DeadLetter, Effect, Finish, Outcome, Push, Show, Stage
from sigil.errors import LaneFull, LeaseLost, MessageInvalid, StoreError
from sigil.lanes import Item, LaneKind, Refusal, Wakeups, lane_id
from sigil.leases import Held, LeaseKeeper
from sigil.messages import InboundMessage, OutboundMessage
from sigil.metrics import StageTimes
from sigil.outbound.delivery import Delivery, Retry, give_up
from sigil.replies import Replies
from sigil.routing import Routing

if TYPE_CHECKING:
    from sigil.agent.turn import Agent
    from sigil.channels.router import ChannelRouter
    from sigil.config import Settings
    from sigil.stores.base import Stores

log = structlog.get_logger(__name__)

ERROR_PAUSE, LONGEST_PAUSE = 1.0, 60.0
RESUBSCRIBE_PAUSE = 1.0
REACH_AGAIN = 0.25


class Gateway:
    """Everything a process does with messages. Made by `sigil.bootstrap.build`."""

    def __init__(
        self,
        *,
        settings: Settings,
        stores: Stores,
        channels: ChannelRouter,
        routing: Routing,
        agent: Callable[[], Agent],
        delivery: Delivery,
        wakeups: Wakeups,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.settings = settings
        self.stores = stores
        self.channels = channels
        self.wakeups = wakeups
        self.times = StageTimes()
        self._routing = routing
        self._make_agent = agent  # on first use, so that only agent workers load model SDKs
        self._agent: Agent | None = None
        self._delivery = delivery
        self._close = close
        lanes = settings.lanes
        self._keeper = LeaseKeeper(
            stores.lanes,
            wakeups,
            ttl=lanes.lease,
            every=lanes.renew,
            limit=lanes.items_per_lease,
            seconds=lanes.seconds_per_lease,
        )
        self._replies = Replies(stores.lanes)
        self._working: set[asyncio.Task[object]] = set()

    # ------------------------------------------------------------ the verbs

    async def receive(self, message: InboundMessage) -> Acceptance:
        """Stores a message once and puts it on its chat's lane, in one step.

        Only when this returned may the platform be told that the update was taken.
        Raises `ChannelNotFound` or `StoreError`; then nothing was stored.
        """
        started = time.monotonic()
        capabilities = self.channels.get(message.channel_type).capabilities
        chat = (message.channel_type, message.account, message.channel_id)
        lane = await self.stores.lanes.key(LaneKind.INBOUND, message.channel_type, *chat)
        item_id = await self.stores.lanes.item_id(*chat, message.message_id)
        effects: list[Effect] = [Accept(item_id)]
        if capabilities.live:
            effects.append(_own_words(item_id, message))
        pushed = await self.stores.lanes.push(
            Push(lane, item_id, {"body": message.to_json()}), effects
        )
        for woken in pushed.wake:
            self.wakeups.wake(woken)
        self.times.observe("receive", time.monotonic() - started)
        log.info("message accepted", message_id=item_id, lane=lane, duplicate=pushed.duplicate)
        return Acceptance(item_id, pushed.duplicate)

    async def route(self, lane: str) -> None:
        """Moves the messages at the head of a chat's lane to their sessions."""
        await self._work("route", lane, self._route)

    async def turn(self, lane: str) -> None:
        """Answers the messages at the head of a session's lane. Raises `ConfigError` if the
        configured providers cannot be made; then no message is touched."""
        self.load_agent()
        await self._work("turn", lane, self._turn)

    async def deliver(self, lane: str) -> None:
        """Sends the messages at the head of a destination's lane."""
        await self._work("deliver", lane, self._deliver)

    async def recover(self) -> float | None:
        """Wakes the lanes whose time has come, and settles what workers that died had reserved;
        returns the seconds until the next lane falls due, or None if none will."""
        await self.stores.budgets.expire_holds()
        swept = await self.stores.lanes.sweep()
        for lane in swept.wake:
            self.wakeups.wake(lane)
        return swept.next_due

    async def notify(self, message: OutboundMessage) -> str:
        """Puts a message on its destination's lane; returns its id.

        Raises `ChannelNotFound` or `StoreError`; then nothing was stored.
        """
        self.channels.get(message.channel_type)
        push = await self._replies.push(message, uuid.uuid4().hex, 0, "")
        for lane in (await self.stores.lanes.push(push)).wake:
            self.wakeups.wake(lane)
        return push.id

    # ------------------------------------------------------------ the work on a lane

    async def _work(self, stage: str, lane: str, handle: Callable[[Held], Awaitable[None]]) -> None:
        if self._keeper.draining:
            return
        started = time.monotonic()
        with self._counted(), structlog.contextvars.bound_contextvars(lane=lane, stage=stage):
            try:
                async with self._keeper.hold(lane) as held:
                    if isinstance(held, Refusal):
                        return
                    async with self._given_back(held):
                        await handle(held)
                self.times.observe(stage, time.monotonic() - started)
            except LeaseLost:
                log.warning("lease lost, another worker goes on")
            except StoreError as error:
                log.warning("left to the sweep", reason=str(error))

    @contextlib.asynccontextmanager
    async def _given_back(self, held: Held) -> AsyncIterator[None]:
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
        except Exception as error:
            if isinstance(error, StoreError) and error.transient:
                log.warning("the store failed, the lane rests", reason=str(error))
                await held.park(ERROR_PAUSE)
            else:
                log.exception("work on the lane failed")
                await held.park(min(LONGEST_PAUSE, ERROR_PAUSE * 2**held.strikes), strike=True)
        else:
            if not held.given_back:
                await held.park()

    def _failed_too_often(self, held: Held) -> bool:
        return held.strikes >= self.settings.lanes.max_strikes

    async def _route(self, held: Held) -> None:
        if self._failed_too_often(held):
            await held.finish(held.items[:1], _unroutable(held.items[0]))
        while not held.given_back:
            # After a failure one by one, so that only the message that fails is given up.
            await self._route_together(held, held.items[:1] if held.strikes else held.items)

    async def _route_together(self, held: Held, items: Sequence[Item]) -> None:
        decided: list[tuple[Item, list[Effect]]] = []
        effects: list[Effect] = []
        for item in items:
            decided.append((item, await self._decide(item, effects)))
            effects += decided[-1][1]
        try:
            await held.finish(items, effects)
            for item, own in decided:
                _log_routed(item, own)
        except LaneFull:
            for item, own in decided:
                if not held.given_back:
                    await self._route_one(held, item, own)

    async def _route_one(self, held: Held, item: Item, effects: list[Effect]) -> None:
        try:
            await held.finish([item], effects)
            _log_routed(item, effects)
        except LaneFull as full:
            message = InboundMessage.from_json(item.fields["body"])
            refusal = await self._routing.when_full(
                item.id, message, noticed=full.noticed, lane=full.lane
            )
            await held.finish([item], refusal)
            _log_routed(item, refusal)

    async def _decide(self, item: Item, before: Sequence[Effect]) -> list[Effect]:
        try:
            message = InboundMessage.from_json(item.fields.get("body", ""))
        except MessageInvalid:
            return _unroutable(item)
        return await self._routing.decide(item.id, message, before)

    async def _turn(self, held: Held) -> None:
        agent = self.load_agent()
        while not held.given_back:
            await agent.turn(held)

    async def _deliver(self, held: Held) -> None:
        if self._failed_too_often(held):
            await held.finish(held.items[:1], give_up(held.items[0], "sending it failed too often"))
        while not held.given_back:
            await self._delivery.deliver(held, held.items[0])

    # ------------------------------------------------------------ the process

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

    async def listen_for_stops(self) -> None:
        """Runs until cancelled: makes a stop prompt. Without it, the next renewal says so."""
        while True:
            try:
                async for lane in self.stores.signals.stops():
                    await self._keeper.look(lane)
            except StoreError as error:
                log.debug("stop signals interrupted", reason=str(error))
            await asyncio.sleep(RESUBSCRIBE_PAUSE)

    async def reach_store(self, within: float) -> None:
        """Waits for the store, `within` seconds at most. Raises `StoreError` that says what to
        do, as a process does at its start."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    await self.stores.backend.ping()
                return
            except (StoreError, TimeoutError) as error:
                if asyncio.get_running_loop().time() + REACH_AGAIN > deadline:
                    raise _store_away(self.settings) from error
            await asyncio.sleep(REACH_AGAIN)

    def stop_taking(self) -> None:
        """No lane is taken from now on; what is in hand is finished."""
        self._keeper.draining = True

    async def hand_back(self) -> None:
        """Cancels what runs; each lane is given back at once, without a strike."""
        self._keeper.draining = True
        running = [task for task in self._working if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=5)

    @property
    def working(self) -> int:
        """How many lanes this process works on now."""
        return len(self._working)

    async def close(self) -> None:
        """Gives back connections of channels, providers and stores."""
        for name in self.channels.names:
            await self.channels.get(name).close()
        await self._close()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._working.add(task)
        try:
            yield
        finally:
            self._working.discard(task)


def _log_routed(item: Item, effects: Sequence[Effect]) -> None:
    for effect in effects:
        if isinstance(effect, Finish):
            log.info("message ended", message_id=item.id, outcome=effect.outcome.value)
        elif isinstance(effect, Push) and effect.id == item.id:
            log.info("message routed", message_id=item.id, session_id=lane_id(effect.lane))


def _own_words(item_id: str, message: InboundMessage) -> Show:
    event = {"type": "user", "text": message.content, "message_id": message.message_id}
    entry = json.dumps(event, ensure_ascii=False)
    return Show(f"{message.channel_type}:{message.channel_id}", item_id, entry)


def _unroutable(item: Item) -> list[Effect]:
    reason = "the message could not be routed"
    return [
        Finish(item.id, Outcome.DEAD, keep_body=True),
        DeadLetter(item.id, Stage.ROUTE, reason),
    ]


def _store_away(settings: Settings) -> StoreError:
    url = settings.redis.url
    if url is None:
        return StoreError(
            f"the private Valkey in {settings.data_dir} does not answer.",
            hint="`sigil up` starts it; to use a server of your own, set redis.url.",
        )
    parts = urlsplit(url.get_secret_value())
    where = parts.netloc.rpartition("@")[2] or parts.path
    return StoreError(f"Redis at {where} does not answer.", hint="Check redis.url and the server.")

"""A gateway over fakes, and the people who talk through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sigil.agent.speakers import MARK
from sigil.bootstrap import build
from sigil.channels.base import Acceptance, Channel, ChannelSpec
from sigil.config import Settings
from sigil.gateway import Gateway
from sigil.lanes.effects import Stage
from sigil.lanes.lane import LaneKind, lane_kind
from sigil.messages.conversation import Usage
from sigil.messages.exchange import InboundMessage
from sigil.providers.base import ChatEvent, ChatRequest, EventType, Provider
from sigil.stores import Stores
from sigil.testing import FakeProvider, MemoryChannel, fake_stores, settle


class Woken:
    """Wake-ups, kept in order."""

    lanes_per_wakeup = 1

    def __init__(self) -> None:
        self.lanes: list[str] = []
        self.backlogs: dict[Stage, int] = {}

    def wake(self, lane: str) -> None:
        self.lanes.append(lane)

    def wake_again(self, lanes: Sequence[str], *, together: int) -> None:
        self.lanes += lanes

    async def backlog(self, stage: Stage) -> int:
        return self.backlogs.get(stage, 0)

    def last(self, stage: LaneKind) -> str:
        return [lane for lane in self.lanes if lane_kind(lane) is stage][-1]


class SlowProvider:
    """Says `words`, and the rest only when it is released."""

    def __init__(self, words: str = "so far", rest: str = " and done") -> None:
        self.name = "slow"
        self.words, self.rest = words, rest
        self.requests: list[ChatRequest] = []
        self.speaking = asyncio.Event()
        self.release = asyncio.Event()
        self.closed = 0

    async def available(self) -> bool:
        return True

    async def list_models(self) -> list[Any]:
        return []

    async def chat(self, request: ChatRequest) -> AsyncIterator[ChatEvent]:
        self.requests.append(request)
        try:
            if self.words:
                yield ChatEvent(EventType.TEXT_DELTA, text=self.words)
            self.speaking.set()
            await self.release.wait()
            yield ChatEvent(EventType.TEXT_DELTA, text=self.rest)
            yield ChatEvent(EventType.USAGE, usage=Usage(1, 1))
            yield ChatEvent(EventType.DONE, stop_reason="stop")
        finally:
            self.closed += 1


def read_words(content: str) -> str:
    """What people wrote of what a model is told: without the line of Sigil's and the marks."""
    return "\n".join(line.removeprefix(MARK) for line in content.split("\n")[1:])


@dataclass
class Talk:
    """One gateway on a memory channel that is open to all, unless said otherwise."""

    gateway: Gateway
    channel: MemoryChannel
    provider: Any
    woken: Woken
    settings: Settings
    written: int = field(default=0)

    @property
    def stores(self) -> Stores:
        return self.gateway.stores

    @property
    def texts(self) -> list[str]:
        return [message.content for message in self.channel.sent]

    def message(self, text: str, sender: str = "ann", **more: Any) -> InboundMessage:
        self.written += 1
        fields = {"channel_id": sender, "message_id": f"m{self.written}", **more}
        return InboundMessage("memory", sender_id=sender, content=text, **fields)

    async def write(self, text: str, sender: str = "ann", **more: Any) -> Acceptance:
        return await self.gateway.receive(self.message(text, sender, **more))

    async def say(self, text: str, sender: str = "ann", **more: Any) -> list[str]:
        """Writes, waits for quiet, and returns what was sent since."""
        before = len(self.channel.sent)
        await self.write(text, sender, **more)
        await settle(self.gateway)
        return self.texts[before:]

    async def routed(self) -> str:
        """Routes all that was received; returns the first session's lane."""
        await self.route_all()
        client: Any = self.stores.backend
        with_work = [lane.decode() for lane in await client.redis.zrange(client.keys.due(), 0, -1)]
        return next(lane for lane in with_work if lane_kind(lane) is LaneKind.SESSION)

    async def route_all(self) -> None:
        for lane in dict.fromkeys(self.woken.lanes):
            if lane_kind(lane) is LaneKind.INBOUND:
                while (await self.stores.lanes.status(lane)).waiting:
                    await self.gateway.route(lane)

    async def route_all_once(self) -> None:
        """Tries to route each chat that has written, once."""
        for lane in dict.fromkeys(self.woken.lanes):
            if lane_kind(lane) is LaneKind.INBOUND:
                await self.gateway.route(lane)

    async def asked(self) -> list[str]:
        """What the provider was asked, last words only, without the line that says whose they are
        and without marks."""
        return [read_words(request.messages[-1].content) for request in self.provider.requests]

    async def counts(self) -> dict[str, int]:
        """The books of today, which must balance with lanes and records. How many replies were
        pushed is left out: `verify` compares that with how they ended."""
        report = await self.stores.lanes.verify(deep=True)
        assert report["balanced"], report["problems"]
        days = await self.stores.lanes.counts()
        today = days.get(datetime.now(UTC).strftime("%Y-%m-%d"), {})
        return {name: count for name, count in today.items() if name != "replies"}


def talk(
    *,
    stores: Stores | None = None,
    provider: Provider | None = None,
    providers: Mapping[str, Provider] | None = None,
    spec: ChannelSpec | None = None,
    channels: Mapping[str, Channel] | None = None,
    prices: Mapping[str, float] | None = None,
    accounts: Sequence[str] = (),
    **settings: Any,
) -> Talk:
    """`settings` are sections of the configuration; `prices` are those of the given provider.
    `accounts` are further entries of the memory channel, which send to the same one."""
    model = provider or FakeProvider("fake", reply="ok")
    memory = MemoryChannel("memory", spec=spec)
    given: dict[str, Any] = {
        "channels": {
            "memory": {"pairing": "open", **settings.pop("memory", {})},
            **{name: {"type": "memory", "pairing": "open"} for name in accounts},
        },
        "models": {"default": "fake/one", **settings.pop("models", {})},
        "providers": {"fake": {"models": {"*": {"price": prices}}}} if prices else {},
        **settings,
    }
    woken = Woken()
    made = Settings.model_validate(given)
    gateway = build(
        made,
        stores=stores or fake_stores(),
        providers={"fake": model, **(providers or {})},
        channels={"memory": memory, **dict.fromkeys(accounts, memory), **(channels or {})},
        wakeups=woken,
    )
    return Talk(gateway, memory, model, woken, made)


def another_worker(first: Talk, **settings: Any) -> Talk:
    """Another process on the same stores, with the same channel and provider."""
    given = first.settings.model_dump() | settings
    woken = Woken()
    made = Settings.model_validate(given)
    gateway = build(
        made,
        stores=replace(first.stores),
        providers={"fake": first.provider},
        channels={"memory": first.channel},
        wakeups=woken,
    )
    return Talk(gateway, first.channel, first.provider, woken, made, first.written)

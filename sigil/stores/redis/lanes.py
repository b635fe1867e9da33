"""Lanes over Redis: each verb is one Lua script (see `sigil.lanes` for what they promise)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sigil.effects import Effect, Push
from sigil.errors import EffectRejected, LaneFull, LeaseLost
from sigil.lanes import Commit, Item, LaneKind, LaneStatus, Lease, Pushed, Refusal, Renewal, Swept
from sigil.stores.redis.client import Client
from sigil.stores.redis.effects import Encoder
from sigil.stores.redis.verify import verify


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _texts(values: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(map(_text, values))


def _raise_unless_applied(lane: str, status: str) -> None:
    if status == "lost":
        raise LeaseLost(f"the lease of lane {lane} is held by another worker.")
    if status.startswith("full "):
        _, noticed, full = status.split(" ", 2)
        raise LaneFull(full, noticed=noticed == "1")
    if status.startswith("rejected "):
        raise EffectRejected(f"lane {lane}: {status.removeprefix('rejected ')}.")


class RedisLanes:
    """The one implementation of `sigil.lanes.Lanes`."""

    def __init__(self, client: Client, *, retention_days: int = 7) -> None:
        self._client = client
        self._encoder = Encoder(client.keys, finished_ttl=retention_days * 24 * 3600)
        self._retention_days = retention_days

    async def key(self, stage: LaneKind, channel: str, *parts: str) -> str:
        return f"{stage.value}:{channel}:{await self._hash(stage.value, channel, *parts)}"

    async def item_id(self, *parts: str) -> str:
        return await self._hash("item", *parts)

    async def _hash(self, *parts: str) -> str:
        # Length-prefixed, so that no two lists of parts make the same input.
        text = "".join(f"{len(part)}:{part}" for part in parts)
        digest = hmac.digest(await self._client.secret(), text.encode(), hashlib.sha256)
        return base64.b32encode(digest[:15]).decode().lower()

    async def push(self, push: Push, effects: Sequence[Effect] = ()) -> Pushed:
        args = self._encoder.encode((push, *effects))
        status, *wake = _texts(await self._client.script("push", args=args))
        _raise_unless_applied(push.lane, status)
        return Pushed(duplicate=status == "duplicate", wake=tuple(wake))

    async def take(self, lane: str, nonce: str, *, ttl: float, limit: int) -> Lease | Refusal:
        answer = await self._client.script("take", args=(lane, nonce, _ms(ttl), limit))
        status = _text(answer[0])
        if status != "granted":
            return Refusal(status)
        _, token, strikes, stop, items, journal, directory = answer
        return Lease(lane, int(token), _items(items), strikes, stop, _texts(journal), directory)

    async def renew(self, lane: str, token: int, *, ttl: float) -> Renewal:
        answer = await self._client.script("renew", args=(lane, token, _ms(ttl)))
        _raise_unless_applied(lane, _text(answer[0]))
        return Renewal(stop=int(answer[1]))

    async def commit(
        self,
        lane: str,
        token: int,
        n: int,
        done: Sequence[str],
        effects: Sequence[Effect] = (),
        *,
        keep: bool = False,
    ) -> Commit:
        args = (lane, token, n, int(keep), len(done), *done, *self._encoder.encode(effects))
        status, *wake = _texts(await self._client.script("commit", args=args))
        _raise_unless_applied(lane, status)
        return Commit(wake=tuple(wake))

    async def park(
        self, lane: str, token: int, *, delay: float, strike: bool = False
    ) -> tuple[str, ...]:
        args = (lane, token, _ms(delay), int(strike))
        status, *wake = _texts(await self._client.script("park", args=args))
        _raise_unless_applied(lane, status)
        return tuple(wake)

    async def sweep(self, limit: int = 100) -> Swept:
        due, *wake = _texts(await self._client.script("sweep", args=(limit,)))
        return Swept(tuple(wake), None if due == "-1" else int(due) / 1000)

    async def status(self, lane: str) -> LaneStatus:
        keys = self._client.keys
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=False) as pipe:
                pipe.llen(keys.lane_ids(lane))
                pipe.hget(keys.lane(lane), "held")
                waiting, held = await pipe.execute()
        return LaneStatus(waiting=waiting, leased=held == b"1")

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        now = datetime.now(UTC)
        days = [(now - timedelta(days=n)).strftime("%Y-%m-%d") for n in range(41)]
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=False) as pipe:
                for day in days:
                    pipe.hgetall(self._client.keys.ledger(day))
                found = await pipe.execute()
        return {
            day: {_text(name): int(count) for name, count in ledger.items()}
            for day, ledger in zip(days, found, strict=True)
            if ledger
        }

    async def verify(self) -> Mapping[str, Any]:
        return await verify(self._client, self.counts, self._retention_days)


def _items(flat: Sequence[Any]) -> tuple[Item, ...]:
    return tuple(Item(_text(flat[i]), _fields(flat[i + 1])) for i in range(0, len(flat), 2))


def _fields(flat: Sequence[bytes]) -> dict[str, str]:
    return {_text(flat[i]): _text(flat[i + 1]) for i in range(0, len(flat), 2)}

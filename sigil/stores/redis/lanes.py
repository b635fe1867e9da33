"""Lanes over Redis: each verb is one Lua script (`sigil.lanes.lane` says what they promise)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from sigil.errors import EffectRejected, IdentityTaken, LaneFull, LeaseLost, SessionStale
from sigil.lanes.effects import Effect, Limit, Push
from sigil.lanes.lane import (
    Commit,
    Item,
    LaneKind,
    LaneStatus,
    Lease,
    Pushed,
    Refusal,
    Renewal,
    Swept,
)
from sigil.stores.redis.bounds import DAY, LEAST_PROOF_TTL
from sigil.stores.redis.client import Client
from sigil.stores.redis.effects import Encoder
from sigil.stores.redis.names import make_hash
from sigil.stores.redis.server import make_full_error
from sigil.stores.redis.snapshot import read_forgotten, read_ledgers
from sigil.stores.redis.verify import verify

log = structlog.get_logger(__name__)

_MOST_WAITS = 10_000
_ANY_NUMBER = 10**9


class RedisLanes:
    """The `Lanes` of one server."""

    def __init__(self, client: Client, *, retention_days: int = 7) -> None:
        self._client = client
        self._encoder = Encoder(client.keys, proof_ttl=max(LEAST_PROOF_TTL, retention_days * DAY))
        self._retention_days = retention_days
        self._hash_parts: Callable[[tuple[str, ...]], str] | None = None
        self._cursor = b"0"  # of the walk over all lanes

    async def key(self, kind: LaneKind, channel: str, *parts: str) -> str:
        return f"{kind.value}:{channel}:{await self._hash(kind.value, channel, *parts)}"

    async def item_id(self, *parts: str) -> str:
        return await self._hash("item", *parts)

    async def push(self, push: Push, effects: Sequence[Effect] = ()) -> Pushed:
        limit, encoded = _encode_limit(push.limit), self._encoder.encode((push, *effects))
        args = (secrets.token_hex(8), *limit, *encoded)
        status, *rest = _decode_all(await self._client.run_script("push", args=args))
        _raise_unless_applied(push.lane, status)
        if status == "refused":
            return Pushed(duplicate=False, refused=True, first_refused=rest == ["first"])
        return Pushed(duplicate=status == "duplicate", wake=tuple(rest))

    async def take(
        self, lane: str, nonce: str, *, ttl: float, limit: int, suspect: bool = True
    ) -> Lease | Refusal:
        args = (lane, nonce, _to_ms(ttl), limit, int(suspect))
        answer = await self._client.run_script("take", args=args)
        status = _decode(answer[0])
        if status != "granted":
            return Refusal(status)
        _, token, strikes, is_suspect, stop, again, flat, journal, directory, misplaced, rests = (
            answer
        )
        _log_misplaced(lane, misplaced)
        items = tuple(
            Item(_decode(item_id), _read_fields(fields))
            for item_id, fields in zip(flat[::2], flat[1::2], strict=True)
        )
        return Lease(
            lane,
            int(token),
            items,
            strikes,
            stop,
            _decode_all(journal),
            directory,
            again=again == b"1",
            suspect=is_suspect == b"1",
            rests=rests == 1,
        )

    async def renew(self, lane: str, token: int, *, ttl: float) -> Renewal:
        (renewal,) = await self.renew_together([(lane, token)], ttl=ttl)
        if renewal is None:
            raise _describe_loss(lane)
        return renewal

    async def renew_together(
        self, leases: Sequence[tuple[str, int]], *, ttl: float
    ) -> Sequence[Renewal | None]:
        named = [part for lease in leases for part in lease]
        answer = await self._client.run_script("renew", args=(_to_ms(ttl), *named))
        return [
            None if stop < 0 else Renewal(stop, commits)
            for stop, commits in zip(answer[::2], answer[1::2], strict=True)
        ]

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
        status, *answer = await self._client.run_script("commit", args=args)
        _raise_unless_applied(lane, _decode(status))
        stop, *wake = answer
        return Commit(_decode_all(wake), stop)

    async def park(
        self, lane: str, token: int, *, delay: float, strike: bool = False, begun: bool = False
    ) -> tuple[str, ...]:
        args = (lane, token, _to_ms(delay), int(strike), int(begun))
        status, *wake = _decode_all(await self._client.run_script("park", args=args))
        _raise_unless_applied(lane, status)
        return tuple(wake)

    async def sweep(self, limit: int = 100, *, room: Mapping[LaneKind, int] | None = None) -> Swept:
        room = dict.fromkeys(LaneKind, _ANY_NUMBER) | dict(room or {})
        rooms = [part for kind, most in room.items() for part in (kind.value, most)]
        due, wake, broken = await self._client.run_script("sweep", args=(limit, *rooms))
        next_due = None if due == b"-1" else int(due) / 1000
        return Swept(_decode_all(wake), next_due, _read_fields(broken))

    async def find_forgotten(self) -> Sequence[str]:
        part = await read_forgotten(self._client, self._cursor, put_back=True)
        self._cursor, found = part
        return list(found)

    async def status(self, lane: str) -> LaneStatus:
        keys = self._client.keys
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=False) as pipe:
                pipe.llen(keys.lane_ids(lane))
                pipe.lindex(keys.lane_ids(lane), 0)
                pipe.hmget(keys.lane(lane), "held", "token", "parked_until", "waits")
                pipe.time()
                waiting, head, (held, token, parked_until, waits), now = await pipe.execute()
        times, until = _read_waits(head, waits)
        rest = None
        if until and until == parked_until:
            rest = max(0.0, int(until) / 1000 - _to_seconds(now))
        return LaneStatus(waiting, int(token) if held == b"1" else 0, times, rest)

    async def list_waits(self) -> Sequence[float]:
        redis, waiting = self._client.redis, self._client.keys.waiting()
        with self._client.guard():
            now = _to_seconds(await redis.time())
            waits = await redis.zrangebyscore(
                waiting, now * 1000, "+inf", start=0, num=_MOST_WAITS, withscores=True
            )
        return [max(0.0, until / 1000 - now) for _, until in waits]

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        return await read_ledgers(self._client)

    async def verify(self, *, deep: bool = False) -> Mapping[str, Any]:
        return await verify(self._client, self._retention_days, deep=deep)

    async def _hash(self, *parts: str) -> str:
        if self._hash_parts is None:
            self._hash_parts = make_hash(await self._client.read_secret())
        return self._hash_parts(parts)


def _encode_limit(limit: Limit | None) -> tuple[str | float, ...]:
    if limit is None:
        return "", 0, 0, 0
    return limit.sender, 60_000 / limit.per_minute, limit.burst, limit.most_waiting


def _raise_unless_applied(lane: str, status: str) -> None:
    """Turns a script's refusal into its error. Every other status means that it applied."""
    if status == "lost":
        raise _describe_loss(lane)
    if status == "no_room":
        raise make_full_error()
    if status == "taken":
        raise IdentityTaken("somebody was given the identity since it was looked up.")
    if status.startswith("full "):
        _, noticed, full_lane = status.split(" ", 2)
        raise LaneFull(full_lane, noticed=None if noticed == "-" else noticed)
    if status == "stale":
        raise SessionStale(f"lane {lane}: what it was decided by has changed since.")
    if status.startswith("rejected "):
        raise EffectRejected(f"lane {lane}: {status.removeprefix('rejected ')}.")


def _log_misplaced(lane: str, keys: Sequence[bytes]) -> None:
    for key in _decode_all(keys):
        log.error("a key of another type was set aside", lane=lane, key=key)


def _describe_loss(lane: str) -> LeaseLost:
    return LeaseLost(f"the lease of lane {lane} is held by another worker.")


def _read_waits(head: bytes | None, waits: bytes | None) -> tuple[int, bytes]:
    """How often the head has waited for a model, and until when the last time (ms)."""
    of, times, until = waits.split(b" ") if waits else (b"", b"0", b"")
    return (int(times), until) if of == head else (0, b"")


def _to_seconds(time: tuple[int, int]) -> float:
    """The answer to TIME, in seconds since 1970."""
    seconds, micros = time
    return seconds + micros / 1_000_000


def _to_ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _decode(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _decode_all(values: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(map(_decode, values))


def _read_fields(flat: Sequence[bytes]) -> dict[str, str]:
    return {
        _decode(name): _decode(value) for name, value in zip(flat[::2], flat[1::2], strict=True)
    }

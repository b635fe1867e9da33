"""The rests of accounts, in Redis."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from sigil.channels.account_rests import AccountRest, RestKind

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client

# The first and the longest rest of each kind, in ms.
_PAUSES: dict[RestKind, tuple[int, int]] = {
    "limited": (5_000, 60_000),
    "away": (5_000, 60_000),
    "refused": (60_000, 600_000),
}
_REMEMBERED_MS = 660_000
_LONGEST_WHY = 500


class RedisAccountRests:
    """An `AccountRests`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def begin(
        self, entry: str, kind: RestKind, why: str, *, seconds: float | None = None
    ) -> float:
        asked = -1 if seconds is None else round(seconds * 1000)
        key = self._client.keys.account_rest(entry)
        args = (key, kind, why[:_LONGEST_WHY], asked, *_PAUSES[kind], _REMEMBERED_MS)
        answer = await self._client.run_script("begin_account_rest", args=args)
        return int(answer) / 1000

    async def find(self, entry: str) -> AccountRest | None:
        found = await self.list([entry])
        return found[0] if found else None

    async def list(self, entries: Sequence[str]) -> builtins.list[AccountRest]:
        keys, names = self._client.keys, ("kind", "why", "until", "times")
        with self._client.guard():
            async with self._client.redis.pipeline(transaction=False) as pipe:
                pipe.time()
                for entry in entries:
                    pipe.hmget(keys.account_rest(entry), *names)
                (seconds, micros), *states = await pipe.execute()
        now = seconds + micros / 1e6
        return [
            AccountRest(
                entry,
                cast("RestKind", kind.decode()),
                max(0.0, int(until) / 1000 - now),
                why.decode(),
                int(times),
            )
            for entry, (kind, why, until, times) in zip(entries, states, strict=True)
            if kind is not None
        ]

    async def end(self, entry: str) -> None:
        await self._client.call("DEL", self._client.keys.account_rest(entry))

"""What all workers have learned about models: cooldowns and probes, in Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sigil.errors.failures import MENDED_BY_OWNER
from sigil.providers.chain.health_store import Cooldown, KeyGrant

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sigil.stores.redis.client import Client

PROBE_LEASE_S = 30.0
_SESSION_KEEPS_S = 3600
_REMEMBERED_S = 86_400.0
_EPISODE_S = 2 * 86_400
_MOST_MODELS = 1000
_CLOCK_SLACK_MS = 1000  # twin in `lua/_prelude.lua`


class RedisHealth:
    """A `HealthStore`.

    While nothing is wrong with a model that has one key, `admit` is one HGET and writes nothing.
    A probe has a lease of 30 s; if that is not renewed, the next caller becomes the probe. A
    cooldown is remembered for a day after its end, because a probe may still be due then.

    A session keeps its key for an hour after its last call. If that key rests, the session moves
    to another key for good, because from then on that key's account has its prompt in its cache.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def admit(
        self, provider: str, model: str, keys: Sequence[str], session: str | None, token: str
    ) -> KeyGrant | Cooldown:
        known = self._keys.health(provider, model)
        if len(keys) == 1 and await self._client.call("HGET", known, keys[0]) is None:
            return KeyGrant(provider, model, keys[0])
        names = [known, self._keys.health_turn(provider, model)]
        if session is not None:
            names.append(self._keys.health_session(provider, model, session))
        args = (token, _ms(PROBE_LEASE_S), _SESSION_KEEPS_S, *keys)
        admitted, key, *answer = await self._client.run_script("admit", names, args)
        if not admitted:
            return _read_cooldown(provider, model, key, *answer)
        probe = answer[0] == b"1"
        return KeyGrant(provider, model, key.decode(), probe, token if probe else "")

    async def find_cooldown(
        self, provider: str, model: str, keys: Sequence[str]
    ) -> Cooldown | None:
        states, now = await asyncio.gather(
            self._client.call("HMGET", self._keys.health(provider, model), *keys), self._read_time()
        )
        if None in states:
            return None
        found = [
            _read_cooldown(provider, model, key.encode(), state, now)
            for key, state in zip(keys, states, strict=True)
        ]
        if any(cooldown.seconds == 0 and not cooldown.probing for cooldown in found):
            return None
        return min(found, key=lambda cooldown: cooldown.seconds)

    async def record_failure(
        self,
        grant: KeyGrant,
        reason: str,
        steps: Sequence[float],
        rest: float | None = None,
    ) -> Cooldown:
        names = (self._keys.health(grant.provider, grant.model), self._keys.health_index())
        row = ",".join(map(_ms, steps))
        instead = "" if rest is None else _ms(rest)
        args = (grant.key, grant.token, reason, row, instead, _ms(_REMEMBERED_S))
        answer = await self._client.run_script("cool", names, args)
        return _read_cooldown(grant.provider, grant.model, grant.key.encode(), *answer)

    async def record_answer(self, grant: KeyGrant) -> None:
        await self._report_probe(grant, "answered")
        if grant.probe:
            await self._end_episodes(grant.provider, grant.key)

    async def release(self, grant: KeyGrant) -> None:
        await self._report_probe(grant, "0")

    async def renew(self, grant: KeyGrant) -> None:
        await self._report_probe(grant, _ms(PROBE_LEASE_S))

    async def begin_episode(self, provider: str, key: str, reason: str) -> str:
        name = self._keys.health_episode(provider, key, reason)
        begun = await self._client.run_script("begin_episode", (name,), (_EPISODE_S,))
        return str(begun.decode())

    async def _end_episodes(self, provider: str, key: str) -> None:
        names = [self._keys.health_episode(provider, key, each.value) for each in MENDED_BY_OWNER]
        await self._client.call("DEL", *names)

    async def list_cooldowns(self) -> list[Cooldown]:
        with self._client.guard():
            names = await self._client.redis.zrange(self._keys.health_index(), 0, _MOST_MODELS - 1)
            async with self._client.redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.hgetall(self._keys.prefix.encode() + name)
                states = await pipe.execute()
        now = await self._read_time()
        return [
            _read_cooldown(*self._keys.parse_health(name.decode()), key, state, now)
            for name, known in zip(names, states, strict=True)
            for key, state in sorted(known.items())
        ]

    async def reset(self, provider: str | None = None, model: str | None = None) -> int:
        found = [
            cooldown
            for cooldown in await self.list_cooldowns()
            if provider in (None, cooldown.provider) and model in (None, cooldown.model)
        ]
        names = {self._keys.health(cooldown.provider, cooldown.model) for cooldown in found}
        if names:
            await self._client.call("DEL", *names)
        for cooldown in found:
            await self._end_episodes(cooldown.provider, cooldown.key)
        return len(found)

    async def keep_only(self, keys: Mapping[str, Collection[str]]) -> int:
        cooldowns = await self.list_cooldowns()
        others = [each for each in cooldowns if each.key not in keys.get(each.provider, ())]
        for each in others:
            await self._client.call("HDEL", self._keys.health(each.provider, each.model), each.key)
            await self._end_episodes(each.provider, each.key)
        return len(others)

    async def _report_probe(self, grant: KeyGrant, outcome: str) -> None:
        """Reports how a probe ended. Other calls have nothing to report: they were allowed when
        nothing was wrong with the model."""
        if grant.probe:
            known = self._keys.health(grant.provider, grant.model)
            args = (grant.key, grant.token, outcome)
            await self._client.run_script("report_probe", (known,), args)

    async def _read_time(self) -> int:
        """The time of the server, in milliseconds."""
        return int((await self._client.read_time()).timestamp() * 1000)


def _ms(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


def _read_cooldown(provider: str, model: str, key: bytes, state: bytes, now: Any) -> Cooldown:
    """Reads a state, which `lua/admit.lua` describes. `now` is in milliseconds."""
    ends, lease, probe, failures, reason, _ = state.decode().split(" ")
    left, leased = int(ends) - int(now), int(lease) - int(now)
    # What lies further ahead was written before the clock stepped back.
    has_stepped = leased > _CLOCK_SLACK_MS + (0 if probe == "-" else PROBE_LEASE_S * 1000)
    return Cooldown(
        provider,
        model,
        key.decode(),
        reason,
        seconds=0.0 if has_stepped else max(0, left) / 1000,
        failures=int(failures),
        probing=probe != "-" and leased > 0 and not has_stepped,
    )

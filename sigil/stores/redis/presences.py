"""What running turns show, in Redis: a record for each, and an index of those to be shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sigil.channels.presences import DuePresence, PresenceEnd, PresencePlace, PresenceUpdate

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client

_LIVES_MS = 15_000
_KNOWN_MS = 86_400_000
_PAUSE_MS = 950  # a process looks once a second, a little sooner or later
_NEVER_S = 1e9


class RedisPresences:
    """A `PresenceStore`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def write(self, updates: Sequence[PresenceUpdate]) -> None:
        keys = self._client.keys
        args: list[str | int] = [keys.presences(), _LIVES_MS, _KNOWN_MS]
        for each in updates:
            place = each.place
            args += (keys.presence(each.turn), each.turn, each.token, each.revision, each.text)
            args += (json.dumps(asdict(place)), place.lane, keys.account_rest(place.entry))
            args.append(int(each.is_over))
        await self._client.run_script("write_presences", args=args)

    async def take_due(self, limit: int, *, busy_s: float) -> list[DuePresence]:
        keys = self._client.keys
        args = (keys.presences(), keys.presence(""), limit, _PAUSE_MS, round(1000 * busy_s))
        found = await self._client.run_script("take_presences", args=args)
        return [_read(*each) for each in found]

    async def note_shown(
        self,
        presence: DuePresence,
        *,
        shown: str | None = None,
        is_typing: bool = False,
        is_lost: bool = False,
    ) -> None:
        key = self._client.keys.presence(presence.turn)
        version = presence.token, presence.revision
        args = (key, *version, shown or "", int(is_typing), int(is_lost))
        await self._client.run_script("note_presence", args=args)

    async def end(self, turn: str) -> PresenceEnd:
        keys = self._client.keys
        args = (keys.presences(), keys.presence(turn), turn, _KNOWN_MS)
        shown, busy = await self._client.run_script("end_presence", args=args)
        return PresenceEnd(shown.decode() or None, int(busy) / 1000)


def _read(
    turn: bytes,
    place: bytes,
    text: bytes,
    token: bytes,
    revision: bytes,
    shown: bytes,
    shown_token: bytes,
    shown_revision: bytes,
    typed_ago: int,
    is_lost: bytes,
) -> DuePresence:
    version = int(token), int(revision)
    return DuePresence(
        turn.decode(),
        PresencePlace(**json.loads(place)),
        text.decode(),
        version[0],
        version[1],
        shown=shown.decode() or None,
        is_new=version > (int(shown_token), int(shown_revision)),
        typing_ago=_NEVER_S if typed_ago < 0 else typed_ago / 1000,
        is_lost=is_lost == b"1",
    )

"""The overlay of the directory: one hash with its version and its content as JSON.

`lua/take.lua` reads the version, so that every lease tells it.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any, cast

from sigil.directory import Overlay
from sigil.errors import StoreError
from sigil.identity.users import Role
from sigil.records import read_record
from sigil.stores.redis.client import Client


class RedisDirectory:
    """A `DirectoryStore`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def load(self) -> Overlay:
        """The stored overlay; an empty one of version 0 if nothing was ever granted. Raises
        `StoreError`, and `RecordTooNew`."""
        with self._client.guard():
            found = await self._client.redis.hmget(
                self._client.keys.directory(), ["version", "overlay"]
            )
        version, text = found
        if text is None:
            return Overlay()
        try:
            return _decode(int(version), read_record(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError("the stored grants cannot be read.") from error

    async def save(self, overlay: Overlay, *, over: int | None = None) -> int:
        """Replaces the overlay; returns its new version, or 0 if it is not over version `over`."""
        args = (_encode(overlay), "" if over is None else over)
        return int(await self._client.run_script("save_directory", args=args))


def _encode(overlay: Overlay) -> str:
    return json.dumps(
        {
            "bindings": [[*chat, workspace] for chat, workspace in overlay.bindings.items()],
            "memberships": {id: sorted(users) for id, users in overlay.memberships.items()},
            "roles": dict(overlay.roles),
            "grants": {id: sorted(names) for id, names in overlay.grants.items()},
            "moved": [
                [*chat, new_id, day.isoformat()] for chat, (new_id, day) in overlay.moved.items()
            ],
        }
    )


def _decode(version: int, raw: dict[str, Any]) -> Overlay:
    return Overlay(
        version,
        {(channel, chat): workspace for channel, chat, workspace in raw["bindings"]},
        {id: frozenset(users) for id, users in raw["memberships"].items()},
        cast(dict[str, Role], raw["roles"]),
        {id: frozenset(names) for id, names in raw["grants"].items()},
        {
            (entry, old_id): (new_id, date.fromisoformat(day))
            for entry, old_id, new_id, day in raw.get("moved", ())
        },
    )

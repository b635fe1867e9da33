"""The records of all processes, in one hash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, get_args

from pydantic import TypeAdapter, ValidationError

from sigil.config.schema import ProcessRole
from sigil.lanes.fleet import KEPT_S, ProcessRecord

if TYPE_CHECKING:
    from sigil.stores.redis.client import Client

_KEPT_MS = round(KEPT_S * 1000)
_ROLES = get_args(ProcessRole)
# The name of the record, and what is known only when it is read.
_NOT_WRITTEN = frozenset({"id", "silence", "started_at"})
_WRITTEN = frozenset(field.name for field in fields(ProcessRecord)) - _NOT_WRITTEN
_FIELDS = TypeAdapter(dict[str, Any])
_RECORD = TypeAdapter(ProcessRecord)


class RedisFleet:
    """A `FleetStore`. The server's clock says how long a process has been silent."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._key = client.keys.fleet()

    async def report(self, record: ProcessRecord) -> Sequence[ProcessRecord]:
        fields = {name: value for name, value in asdict(record).items() if name in _WRITTEN}
        return await self._run(record.id, json.dumps(fields))

    async def list(self) -> Sequence[ProcessRecord]:
        return await self._run()

    async def remove(self, id: str) -> None:
        await self._client.call("HDEL", self._key, id)

    async def _run(self, *written: str) -> Sequence[ProcessRecord]:
        now, *flat = await self._client.run_script("fleet", (self._key,), (_KEPT_MS, *written))
        pairs = zip(flat[::2], flat[1::2], strict=True)
        read = (_read(id.decode(), value, int(now)) for id, value in pairs)
        records = (record for record in read if record is not None)
        return sorted(records, key=lambda each: (_place(each), each.started_at, each.id))


def _place(record: ProcessRecord) -> int:
    """On the path of a message. A newer Sigil may have further roles; these come last."""
    places = [_ROLES.index(role) for role in record.roles if role in _ROLES]
    return min(places, default=len(_ROLES))


def _read(id: str, value: bytes, now_ms: int) -> ProcessRecord | None:
    """Reads a record. A newer process may have written fields that are unknown here, and an older
    one may have left some out. None if what is left is no record: every process reads those of
    all others, and none may fail because of it."""
    written_ms, _, text = value.partition(b" ")
    try:
        found: dict[str, Any] = _FIELDS.validate_json(text)
        known = {name: field for name, field in found.items() if name in _WRITTEN}
        record = _RECORD.validate_python(known | {"id": id})
    except ValidationError:
        return None
    return replace(
        record,
        silence=max(0, now_ms - int(written_ms)) / 1000,
        started_at=int(written_ms) / 1000 - record.uptime,
    )

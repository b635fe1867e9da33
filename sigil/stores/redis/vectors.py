"""Vectors in Redis: one hash per workspace, compared here.

A field is `v:<id>`; its value is the vector, scaled to length 1, as little-endian float32,
then the payload. The field `dimensions` is what all of them have in common.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import struct
from operator import mul
from typing import TYPE_CHECKING, Any

from sigil.errors import EffectRejected
from sigil.memory import Match

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sigil.stores.redis.client import Client
    from sigil.stores.redis.keys import Keys

MOST_VECTORS = 10_000
MOST_DIMENSIONS = 4096
MOST_PAYLOAD_BYTES = 16 * 1024
MOST_ID_BYTES = 256
_BATCH = 200
_FULL = -1


class RedisVectors:
    """A `VectorStore`. A search reads all vectors of the workspace, 200 at a time, and
    compares them in a thread."""

    def __init__(self, client: Client, keys: Keys, *, most: int = MOST_VECTORS) -> None:
        self._client = client
        self._keys = keys
        self._most = most

    async def put(
        self, workspace_id: str, id: str, vector: Sequence[float], payload: str = ""
    ) -> None:
        """Adds or replaces a vector. Raises `EffectRejected` when it is over a bound, not
        of the length of the others, or has no direction; then nothing was written."""
        unit = _unit(vector)
        dimensions = await self._client.script(
            "put_vector",
            keys=[self._keys.vectors(workspace_id)],
            args=[
                b"v:" + _bounded("id", id, MOST_ID_BYTES),
                len(unit),
                _pack(unit) + _bounded("payload", payload, MOST_PAYLOAD_BYTES),
                self._most,
            ],
        )
        if dimensions == _FULL:
            raise EffectRejected(
                f"workspace {workspace_id!r} holds {self._most} vectors already.",
                hint="Delete some first.",
            )
        _check_length(len(unit), int(dimensions), workspace_id)

    async def search(
        self, workspace_id: str, vector: Sequence[float], limit: int = 10
    ) -> list[Match]:
        """The nearest vectors by cosine, nearest first. Raises `EffectRejected` as `put`."""
        query = _unit(vector)
        key = self._keys.vectors(workspace_id)
        with self._client.guard():
            dimensions = await self._client.redis.hget(key, "dimensions")
        if dimensions is None or limit <= 0:
            return []
        _check_length(len(query), int(dimensions), workspace_id)
        best: dict[str, Match] = {}
        cursor = 0
        while True:
            with self._client.guard():
                page: Any = await self._client.redis.hscan(key, cursor, match="v:*", count=_BATCH)
            cursor, found = page
            # A scan may give the same vector twice, hence a dictionary.
            best |= await asyncio.to_thread(_compare, query, found)
            best = {match.id: match for match in _nearest(best, limit)}
            if cursor == 0:
                return _nearest(best, limit)

    async def delete(self, workspace_id: str, id: str) -> None:
        """Removes a vector; nothing happens if there is none of this id."""
        await self._client.script(
            "delete_vector",
            keys=[self._keys.vectors(workspace_id)],
            args=[b"v:" + _bounded("id", id, MOST_ID_BYTES)],
        )


def _unit(vector: Sequence[float]) -> list[float]:
    if not 1 <= len(vector) <= MOST_DIMENSIONS:
        raise EffectRejected(
            f"a vector of {len(vector)} numbers; 1 to {MOST_DIMENSIONS} are taken."
        )
    largest = max(map(abs, vector))
    if not all(map(math.isfinite, vector)) or largest == 0:
        raise EffectRejected("a vector needs finite numbers that are not all zero.")
    # First by the largest, so that neither huge nor tiny numbers leave the range of floats.
    scaled = [number / largest for number in vector]
    length = math.hypot(*scaled)
    return [number / length for number in scaled]


def _pack(unit: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(unit)}f", *unit)


def _bounded(name: str, text: str, limit: int) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > limit:
        raise EffectRejected(f"a vector's {name} has {len(data)} bytes; at most {limit} are taken.")
    return data


def _check_length(given: int, expected: int, workspace_id: str) -> None:
    if given != expected:
        raise EffectRejected(
            f"a vector of {given} numbers; those of workspace {workspace_id!r} have {expected}.",
            hint="Use one embedding model per workspace.",
        )


def _compare(query: Sequence[float], found: Mapping[bytes, bytes]) -> dict[str, Match]:
    matches = {}
    for field, value in found.items():
        id = field.removeprefix(b"v:").decode("utf-8", "surrogatepass")
        unit = struct.unpack_from(f"<{len(query)}f", value)
        score = max(-1.0, min(1.0, sum(map(mul, query, unit))))
        payload = value[4 * len(query) :].decode("utf-8", "surrogatepass")
        matches[id] = Match(id, score, payload)
    return matches


def _nearest(matches: Mapping[str, Match], limit: int) -> list[Match]:
    return heapq.nsmallest(limit, matches.values(), key=lambda match: (-match.score, match.id))

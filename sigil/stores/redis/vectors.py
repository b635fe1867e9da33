"""Vectors in Redis: one hash per workspace, compared here.

A vector's field is `v:<id>`. Its value is the vector, scaled to length 1, as little-endian float32
numbers, followed by the payload. The field `dimensions` says how many numbers each vector has.

Between vectors of length 1 the cosine is their scalar product, so a search needs no square roots.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import struct
from operator import mul
from typing import TYPE_CHECKING, Any

from sigil.errors import EffectRejected
from sigil.workspace.memory import Match

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sigil.stores.redis.client import Client

MOST_VECTORS = 10_000
MOST_DIMENSIONS = 4096
MOST_PAYLOAD_BYTES = 16 * 1024
MOST_ID_BYTES = 256
_BATCH = 200
_FULL = -1


class RedisVectors:
    """A `VectorStore`. A search reads all vectors of the workspace, 200 at a time, and compares
    them in a thread."""

    def __init__(self, client: Client, *, most: int = MOST_VECTORS) -> None:
        self._client = client
        self._keys = client.keys
        self._most = most

    async def put(
        self, workspace_id: str, id: str, vector: Sequence[float], payload: str = ""
    ) -> None:
        """Adds or replaces a vector.

        Raises `EffectRejected` if it exceeds a bound, is not as long as the others, or has no
        direction; then nothing was written.
        """
        unit = _normalize(vector)
        dimensions = await self._client.run_script(
            "put_vector",
            keys=[self._keys.vectors(workspace_id)],
            args=[
                b"v:" + _encode_text("id", id, MOST_ID_BYTES),
                len(unit),
                struct.pack(f"<{len(unit)}f", *unit)
                + _encode_text("payload", payload, MOST_PAYLOAD_BYTES),
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
        """The nearest vectors by cosine, nearest first. Raises `EffectRejected` as `put` does."""
        query = _normalize(vector)
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
            cursor, fields = page
            # A scan may return a vector twice, so matches are kept by id.
            best |= await asyncio.to_thread(_score_vectors, query, fields)
            best = {match.id: match for match in _pick_nearest(best, limit)}
            if cursor == 0:
                return _pick_nearest(best, limit)

    async def delete(self, workspace_id: str, id: str) -> None:
        """Removes a vector. Does nothing if the id is unknown."""
        await self._client.run_script(
            "delete_vector",
            keys=[self._keys.vectors(workspace_id)],
            args=[b"v:" + _encode_text("id", id, MOST_ID_BYTES)],
        )


def _normalize(vector: Sequence[float]) -> list[float]:
    if not 1 <= len(vector) <= MOST_DIMENSIONS:
        raise EffectRejected(
            f"a vector of {len(vector)} numbers; 1 to {MOST_DIMENSIONS} are taken."
        )
    largest = max(map(abs, vector))
    if not all(map(math.isfinite, vector)) or largest == 0:
        raise EffectRejected("a vector needs finite numbers that are not all zero.")
    # The largest number is scaled to 1 first. Squares of huge or tiny numbers would leave the range
    # of floats.
    scaled = [number / largest for number in vector]
    length = math.hypot(*scaled)
    return [number / length for number in scaled]


def _encode_text(name: str, text: str, limit: int) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > limit:
        raise EffectRejected(
            f"a vector's {name} has {len(data)} bytes; at most {limit} are allowed."
        )
    return data


def _check_length(given: int, expected: int, workspace_id: str) -> None:
    if given != expected:
        raise EffectRejected(
            f"a vector of {given} numbers; those of workspace {workspace_id!r} have {expected}.",
            hint="Use one embedding model per workspace.",
        )


def _score_vectors(query: Sequence[float], fields: Mapping[bytes, bytes]) -> dict[str, Match]:
    matches = {}
    for field, value in fields.items():
        id = field.removeprefix(b"v:").decode("utf-8", "surrogatepass")
        unit = struct.unpack_from(f"<{len(query)}f", value)
        score = max(-1.0, min(1.0, sum(map(mul, query, unit))))
        payload = value[4 * len(query) :].decode("utf-8", "surrogatepass")
        matches[id] = Match(id, score, payload)
    return matches


def _pick_nearest(matches: Mapping[str, Match], limit: int) -> list[Match]:
    return heapq.nsmallest(limit, matches.values(), key=lambda match: (-match.score, match.id))

"""What every vector store must do; run on each by `stores`."""

from __future__ import annotations

import asyncio
import math

import pytest

from sigil.errors import EffectRejected


async def test_the_nearest_vectors(stores):
    for id, vector in {"x": [3.0, 0.0], "xy": [1, 1], "y": [0, 2], "-x": [-1, 0]}.items():
        await stores.vectors.put("w", id, vector, f"payload of {id}")
    found = await stores.vectors.search("w", [10, 0])
    assert [match.id for match in found] == ["x", "xy", "y", "-x"]
    assert [match.score for match in found] == pytest.approx([1, math.sqrt(0.5), 0, -1], abs=1e-6)
    assert found[0].payload == "payload of x"
    assert [match.id for match in await stores.vectors.search("w", [0, 1], limit=2)] == ["y", "xy"]
    assert await stores.vectors.search("w", [0, 1], limit=0) == []
    assert await stores.vectors.search("nothing", [0, 1]) == []


async def test_more_vectors_than_one_page(stores):
    for start in range(0, 450, 50):
        await asyncio.gather(
            *(stores.vectors.put("w", str(n), [n + 1, 450 - n]) for n in range(start, start + 50))
        )
    found = await stores.vectors.search("w", [1, 0], limit=3)
    assert [match.id for match in found] == ["449", "448", "447"]
    assert len({match.id for match in await stores.vectors.search("w", [1, 0], 1000)}) == 450


async def test_a_vector_is_replaced_and_deleted(stores):
    await stores.vectors.put("w", "v", [1, 0], "old")
    await stores.vectors.put("w", "v", [0, 1], "new")
    assert [match.payload for match in await stores.vectors.search("w", [0, 1])] == ["new"]
    await stores.vectors.delete("w", "v")
    await stores.vectors.delete("w", "v")
    assert await stores.vectors.search("w", [0, 1]) == []
    await stores.vectors.put("w", "v", [1, 0, 0])
    assert len(await stores.vectors.search("w", [1, 0, 0])) == 1


async def test_ids_and_workspaces_of_vectors_are_apart(stores):
    names = ["a", "A", "a:b", "a%3Ab", "a\x00b", "*", "\u00e9", "e\u0301", "dimensions", "v:a", ""]
    for name in names:
        for id in names:
            await stores.vectors.put(name, id, [1, 2], f"{name}|{id}")
    for name in names:
        found = {match.id: match.payload for match in await stores.vectors.search(name, [1, 2], 99)}
        assert found == {id: f"{name}|{id}" for id in names}


@pytest.mark.parametrize("scale", [1.7e308, 1e-320, 1.0])
async def test_the_size_of_numbers_does_not_matter(stores, scale):
    vector = [scale] * 4
    await stores.vectors.put("w", "v", vector)
    [match] = await stores.vectors.search("w", vector)
    assert match.score == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("length", range(2, 12))
async def test_a_score_stays_in_its_range(stores, length):
    await stores.vectors.put("w", "v", [1.0] * length)
    for query in ([1.0] * length, [-1.0] * length):
        [match] = await stores.vectors.search("w", query)
        assert -1.0 <= match.score <= 1.0


@pytest.mark.parametrize(
    "vector",
    [[], [0, 0], [math.nan, 1], [1, math.nan], [math.inf, 1], [1, -math.inf], [1.0] * 4097],
    ids=["empty", "zero", "nan", "nan-last", "inf", "-inf", "long"],
)
async def test_what_is_no_vector_is_refused(stores, vector):
    with pytest.raises(EffectRejected):
        await stores.vectors.put("w", "v", vector)
    with pytest.raises(EffectRejected):
        await stores.vectors.search("w", vector)
    assert await stores.vectors.search("w", [1.0]) == []


async def test_the_bounds_of_a_vector(stores):
    await stores.vectors.put("w", "i" * 256, [0.5] * 4096, "é" * 8192)
    [match] = await stores.vectors.search("w", [0.5] * 4096)
    assert (match.id, match.payload) == ("i" * 256, "é" * 8192)
    with pytest.raises(EffectRejected, match="payload has 16386 bytes"):
        await stores.vectors.put("w", "v", [0.5] * 4096, "é" * 8193)
    with pytest.raises(EffectRejected, match="id has 257 bytes"):
        await stores.vectors.put("w", "i" * 257, [0.5] * 4096)


async def test_vectors_of_a_workspace_have_one_length(stores):
    await stores.vectors.put("w", "v", [1, 0])
    with pytest.raises(EffectRejected, match="3 numbers; those of workspace 'w' have 2"):
        await stores.vectors.put("w", "other", [1, 0, 0])
    with pytest.raises(EffectRejected, match="have 2"):
        await stores.vectors.search("w", [1, 0, 0])
    assert len(await stores.vectors.search("w", [1, 0])) == 1
    await stores.vectors.put("w2", "v", [1, 0, 0])


async def test_vectors_are_bounded_in_number(stores):
    from sigil.stores.redis.vectors import RedisVectors

    vectors = RedisVectors(stores.backend, most=3)
    for id in "abc":
        await vectors.put("w", id, [1, 0])
    with pytest.raises(EffectRejected, match="holds 3 vectors"):
        await vectors.put("w", "d", [1, 0])
    await vectors.put("w", "a", [0, 1])
    await vectors.delete("w", "b")
    await vectors.put("w", "d", [1, 0])
    assert {match.id for match in await vectors.search("w", [1, 0])} == set("acd")

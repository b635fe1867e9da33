"""Batches of commands: every call gets its own answer, whatever happens around it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aioredis
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from sigil.stores.redis.batch import MOST_AT_ONCE, MOST_ON_THEIR_WAY, Batcher
from tests.stores.redis_peer import Peer

MOST_RETRIES = 3


class SlowPool(aioredis.BlockingConnectionPool):
    """Lets the loop run while it gives and takes, as a pool may that has to connect or to wait."""

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(0)
        return await super().get_connection(*args, **options)

    async def release(self, connection: Any) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        await super().release(connection)


@contextlib.asynccontextmanager
async def batching(url: str, **options: Any) -> AsyncIterator[Batcher]:
    retry = Retry(NoBackoff(), MOST_RETRIES, supported_errors=(RedisConnectionError,))
    pool = SlowPool.from_url(url, retry=retry, **{"socket_timeout": 5, **options})
    try:
        yield Batcher(pool)
    finally:
        await pool.aclose()


@pytest.fixture
def folder() -> Any:
    with tempfile.TemporaryDirectory(prefix="sigil-") as path:  # short enough for a socket
        yield Path(path)


async def test_calls_that_are_made_together_share_round_trips(folder):
    peer, words = Peer(), [b"%d" % n for n in range(3 * MOST_AT_ONCE)]
    async with peer.serve(folder) as url, batching(url) as batcher:
        assert await asyncio.gather(*(batcher.call("ECHO", word) for word in words)) == words
    assert peer.batches == [MOST_AT_ONCE] * 3
    assert peer.connections == MOST_ON_THEIR_WAY


async def test_a_lone_call_goes_at_once_and_the_next_one_does_not_wait_for_its_answer(folder):
    peer = Peer()
    async with peer.serve(folder) as url, batching(url) as batcher:
        peer.speaks.clear()
        calls = [asyncio.create_task(batcher.call("ECHO", word)) for word in "a"]
        while peer.batches != [1]:
            await asyncio.sleep(0)
        calls += [asyncio.create_task(batcher.call("ECHO", word)) for word in "bcd"]
        while peer.batches != [1, 3]:
            await asyncio.sleep(0)
        peer.speaks.set()
        assert await asyncio.gather(*calls) == [b"a", b"b", b"c", b"d"]


async def test_an_error_is_the_answer_to_its_own_call_only(folder):
    peer = Peer()
    async with peer.serve(folder) as url, batching(url) as batcher:
        calls = (("ECHO", "a"), ("EVALSHA", "0" * 40, 0), ("ECHO", "b"), ("ECHO", None))
        a, script, b, wrong = await asyncio.gather(
            *(batcher.call(*call) for call in calls), return_exceptions=True
        )
        assert (a, b) == (b"a", b"b")
        assert isinstance(script, NoScriptError)
        assert isinstance(wrong, TypeError)


async def test_a_cut_connection_is_replaced_and_what_it_left_unanswered_is_sent_again(folder):
    peer, words = Peer(cuts=[3]), [b"a", b"b", b"c", b"d"]
    async with peer.serve(folder) as url, batching(url) as batcher:
        assert await asyncio.gather(*(batcher.call("ECHO", word) for word in words)) == words
    assert peer.words == [b"a", b"b", b"c", b"c", b"d"]
    assert peer.connections == 2


async def test_a_silent_server_is_not_asked_again_and_its_late_answer_is_nobodys(folder):
    peer = Peer()
    async with peer.serve(folder) as url, batching(url, socket_timeout=0.1) as batcher:
        assert await batcher.call("ECHO", "before") == b"before"
        peer.speaks.clear()
        with pytest.raises(TimeoutError):
            await batcher.call("ECHO", "during")
        peer.speaks.set()
        assert await batcher.call("ECHO", "after") == b"after"
    assert peer.words == [b"before", b"during", b"after"]


async def test_what_a_server_said_unasked_between_two_calls_is_nobodys_answer(folder):
    peer = Peer()
    async with peer.serve(folder) as url, batching(url) as batcher:
        assert await batcher.call("ECHO", "before") == b"before"
        peer.say(b"$5\r\nstale\r\n")
        for _ in range(5):  # turns of the loop, until it has arrived
            await asyncio.sleep(0)
        assert await batcher.call("ECHO", "after") == b"after"
    assert peer.connections == 2


async def test_calls_one_after_the_other_use_one_connection(folder):
    peer = Peer()
    async with peer.serve(folder) as url, batching(url) as batcher:
        for word in (b"a", b"b", b"c"):
            assert await batcher.call("ECHO", word) == word
    assert peer.connections == 1


async def test_a_call_whose_caller_was_cancelled_is_not_sent_any_more(folder):
    peer = Peer()
    async with peer.serve(folder) as url, batching(url) as batcher:
        given_up = asyncio.create_task(batcher.call("ECHO", "never"))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await batcher.call("ECHO", "other") == b"other"
    assert peer.words == [b"other"]


async def test_a_server_that_is_away_fails_every_call_and_is_found_when_it_is_back(folder):
    peer = Peer()
    async with batching(f"unix://{folder}/s") as batcher:
        answers = await asyncio.gather(
            *(batcher.call("ECHO", n) for n in range(100)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {RedisConnectionError}
        async with peer.serve(folder):
            assert await batcher.call("ECHO", "back") == b"back"


caller = st.tuples(
    st.lists(st.integers(0, 12), min_size=1, max_size=4),  # turns of the loop before each call
    st.none() | st.integers(0, 25),  # and until it is cancelled
)


@settings(deadline=None)
@given(
    callers=st.lists(caller, min_size=1, max_size=12),
    cuts=st.lists(st.integers(1, 8), max_size=MOST_RETRIES),
    slowness=st.integers(0, 3),
)
def test_every_call_is_answered_whenever_it_is_made_and_whatever_breaks(callers, cuts, slowness):
    """Each caller calls one after the other; one that is cancelled makes a last call. Nothing
    hangs, every answer is the caller's own, and no call overtakes an earlier one of its caller."""
    peer = Peer(cuts=cuts, slowness=slowness)

    async def call_all(batcher: Batcher, name: int, pauses: list[int]) -> None:
        n = 0
        try:
            for n, pause in enumerate(pauses):
                for _ in range(pause):
                    await asyncio.sleep(0)
                assert await batcher.call("ECHO", f"{name} {n}") == f"{name} {n}".encode()
                with pytest.raises(NoScriptError):
                    await batcher.call("EVALSHA", "0" * 40, 0)
        except asyncio.CancelledError:
            assert await batcher.call("ECHO", f"{name} {n + 1}") == f"{name} {n + 1}".encode()

    async def run(folder: Path) -> None:
        async with peer.serve(folder) as url, batching(url) as batcher, asyncio.timeout(20):
            tasks = []
            for name, (pauses, patience) in enumerate(callers):
                task = asyncio.create_task(call_all(batcher, name, pauses))
                tasks.append(task)
                if patience is not None:
                    asyncio.create_task(cancel_after(task, patience))  # noqa: RUF006
            await asyncio.gather(*tasks)

    with tempfile.TemporaryDirectory(prefix="sigil-") as path:
        asyncio.run(run(Path(path)))
    first_seen = {word: at for at, word in reversed(list(enumerate(peer.words)))}
    for name in range(len(callers)):
        mine = [first_seen.get(f"{name} {n}".encode()) for n in range(6)]
        arrived = [at for at in mine if at is not None]
        assert arrived == sorted(arrived)
    assert all(size <= MOST_AT_ONCE for size in peer.batches)


async def cancel_after(task: asyncio.Task[None], turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()


@pytest.mark.valkey
@settings(deadline=None)
@given(kills=st.lists(st.integers(0, 30), max_size=MOST_RETRIES), width=st.integers(1, 80))
def test_a_real_server_that_cuts_connections_and_forgets_scripts(valkey_url, kills, width):
    """Each script answers the number that it was given, and an error stays with its command."""

    async def call_all(batcher: Batcher, name: int) -> None:
        script = f"redis.call('SET', KEYS[1], ARGV[1]) return ARGV[1] --{name % 3}"
        for n in range(3):
            sha = await batcher.call("SCRIPT", "LOAD", script)
            with contextlib.suppress(NoScriptError):
                assert await batcher.call("EVALSHA", sha, 1, f"batch:{name}", n) == b"%d" % n
            with pytest.raises(ResponseError, match="WRONGTYPE"):
                await batcher.call("LPUSH", f"batch:{name}", "x")

    async def break_things() -> None:
        async with aioredis.Redis.from_url(valkey_url) as other:
            for turns in kills:
                for _ in range(turns):
                    await asyncio.sleep(0)
                await other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                await other.script_flush()

    async def run() -> None:
        async with batching(valkey_url) as batcher, asyncio.timeout(20):
            for name in range(width):
                await batcher.call("SET", f"batch:{name}", "")
            await asyncio.gather(break_things(), *(call_all(batcher, n) for n in range(width)))

    asyncio.run(run())

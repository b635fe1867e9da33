from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sigil.lanes.effects import Accept, Push
from sigil.stores import Stores
from sigil.stores.redis import client
from tests.chaos import clock
from tests.chaos.mutations import MUTATIONS, QUICK_MUTATIONS
from tests.chaos.proxy import Proxy, calls, commits_that_keep
from tests.chaos.verdict import Evidence, judge

TEXTS = ["s000 00000", "s000 00001", "s000 00002"]
GOOD = Evidence(
    accepted={"s000": TEXTS},
    asked={"s000": TEXTS},
    answered={"s000": TEXTS},
    sends=[("a.0", TEXTS[0]), ("b.0", TEXTS[1]), ("c.0", TEXTS[2])],
    tries={"a.0": 1, "b.0": 1, "c.0": 1},
    totals={"accepted": 3, "answered": 3, "replies": 3, "sent": 3},
)
DEADLY = "s000 00003 blast"
BLASTED = replace(
    GOOD,
    accepted={"s000": [*TEXTS, DEADLY]},
    dead=[DEADLY],
    sends=[*GOOD.sends, ("d.0", DEADLY)],
    tries={**GOOD.tries, "d.0": 1},
    totals={"accepted": 4, "answered": 3, "dead": 1, "replies": 4, "sent": 4},
)


@pytest.mark.parametrize("good", [GOOD, BLASTED], ids=["all answered", "one deadly"])
def test_a_good_run_has_no_problems(good: Evidence) -> None:
    verdict = judge(good)
    assert verdict.problems == []
    assert verdict.repeated_sends == 0


def test_a_message_that_left_no_trace_is_lost() -> None:
    kept = {"s000": TEXTS[:2]}
    verdict = judge(replace(GOOD, asked=kept, answered=kept, sends=GOOD.sends[:2]))
    assert (verdict.lost, verdict.undelivered) == (1, 0)
    assert verdict.problems == ["1 messages lost"]


def test_an_answer_that_did_not_reach_the_platform_is_undelivered() -> None:
    verdict = judge(replace(GOOD, sends=GOOD.sends[:2]))
    assert (verdict.lost, verdict.undelivered) == (0, 1)
    assert verdict.problems == ["1 messages undelivered"]


def test_whoever_a_message_was_given_up_for_is_told() -> None:
    verdict = judge(replace(BLASTED, sends=GOOD.sends))
    assert verdict.problems == ["1 messages undelivered"]


def test_a_turn_committed_twice_is_duplicated() -> None:
    twice = {"s000": [TEXTS[0], *TEXTS]}
    assert judge(replace(GOOD, asked=twice, answered=twice)).duplicated == 1


def test_two_replies_to_one_message_are_duplicated() -> None:
    sends = [*GOOD.sends, ("d.0", TEXTS[2])]
    verdict = judge(replace(GOOD, sends=sends, tries={**GOOD.tries, "d.0": 1}))
    assert (verdict.duplicated, verdict.repeated_sends) == (1, 0)


@pytest.mark.parametrize("where", ["asked", "sends"])
def test_order_is_looked_at_in_the_history_and_at_the_platform(where: str) -> None:
    swapped = [TEXTS[1], TEXTS[0], TEXTS[2]]
    changed = (
        replace(GOOD, asked={"s000": swapped})
        if where == "asked"
        else replace(GOOD, sends=[GOOD.sends[1], GOOD.sends[0], GOOD.sends[2]])
    )
    assert judge(changed).problems == ["1 messages reordered"]


def test_a_repeated_send_is_in_order_only_where_the_fate_was_unknown() -> None:
    sends = [*GOOD.sends, GOOD.sends[0]]
    unknown = judge(replace(GOOD, sends=sends, tries={**GOOD.tries, "a.0": 2}))
    assert (unknown.repeated_sends, unknown.problems) == (1, [])
    known = judge(replace(GOOD, sends=sends))
    assert known.repeated_sends == 1
    assert len(known.problems) == 1
    assert "a.0" in known.problems[0]


@pytest.mark.parametrize(
    "changed",
    [
        replace(GOOD, totals={**GOOD.totals, "accepted": 4}),
        replace(GOOD, totals={**GOOD.totals, "failed": 1}),
        replace(GOOD, dead=TEXTS[:1]),
        replace(BLASTED, dead=[]),
        replace(GOOD, answered={"s000": [*TEXTS, "s000 00007"]}),
        replace(GOOD, unbalanced=["verify: one too many"]),
        replace(GOOD, bugs=["1 x in the logs: task failed"]),
    ],
    ids=["ledger", "failed", "innocent", "immortal", "stranger", "verify", "logs"],
)
def test_other_problems(changed: Evidence) -> None:
    assert len(judge(changed).problems) == 1


def test_every_mutation_still_finds_what_it_switches_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from sigil.gateway import Gateway
    from sigil.lanes.leases import LeaseKeeper
    from sigil.stores.redis import client

    homes = [
        *((client, "script_text"), (LeaseKeeper, "_tick")),
        *((Gateway, "recover"), (Gateway, "_try")),
    ]
    for mutate in [*MUTATIONS.values(), *(mutate for mutate, _ in QUICK_MUTATIONS.values())]:
        with monkeypatch.context() as patch:
            for home, name in homes:
                patch.setattr(home, name, getattr(home, name))
            before = [getattr(home, name) for home, name in homes]
            mutate()
            assert [getattr(home, name) for home, name in homes] != before


# ---------------------------------------------------------------- the proxy

SHA = "a" * 40


def request(*words: str) -> bytes:
    return f"*{len(words)}\r\n".encode() + b"".join(
        f"${len(word)}\r\n{word}\r\n".encode() for word in words
    )


COMMIT = ("EVALSHA", SHA, "0", "sigil:", "session:any:a", "17", "1")


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="sigil-") as name:
        yield Path(name)


@pytest.fixture
async def proxy(folder: Path) -> AsyncIterator[Proxy]:
    """In front of a server that answers every packet with `ok`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(b"ok")
        writer.close()

    server = await asyncio.start_unix_server(serve, folder / "server")
    made = Proxy(folder / "proxy", folder / "server")
    await made.start()
    yield made
    await made.close()
    server.close()


async def ask(proxy: Proxy, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(proxy.address)
    try:
        writer.write(data)
        return await reader.read(100)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_the_reply_of_a_wanted_script_is_lost_once(proxy: Proxy) -> None:
    proxy.swallow(calls(SHA))
    assert await ask(proxy, request("PING")) == b"ok"
    assert await ask(proxy, request(*COMMIT, "0", "1", "x")) == b""
    assert await ask(proxy, request(*COMMIT, "0", "1", "x")) == b"ok"
    assert proxy.swallowed == 1


@pytest.mark.parametrize(
    ("keep", "done", "wanted"), [("1", "2", True), ("1", "0", False), ("0", "2", False)]
)
def test_commits_that_keep_are_told_apart(keep: str, done: str, wanted: bool) -> None:
    lines = request(*COMMIT, keep, done, "x", "y").split(b"\r\n")
    assert commits_that_keep(SHA)(lines) is wanted


async def test_a_frozen_link_delivers_late(proxy: Proxy) -> None:
    freezing = asyncio.create_task(proxy.freeze(0.1))
    await asyncio.sleep(0)
    asking = asyncio.create_task(ask(proxy, b"?"))
    done, _ = await asyncio.wait([freezing, asking], return_when=asyncio.FIRST_COMPLETED)
    assert done == {freezing}
    assert await asking == b"ok"


async def test_open_connections_fall_silent_and_new_ones_work(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_unix_connection(proxy.address)
    writer.write(b"?")
    assert await reader.read(100) == b"ok"
    silencing = asyncio.create_task(proxy.silence(0.1))
    await asyncio.sleep(0)
    writer.write(b"?")
    reading = asyncio.create_task(reader.read(100))
    assert await ask(proxy, b"?") == b"ok"
    done, _ = await asyncio.wait([silencing, reading], return_when=asyncio.FIRST_COMPLETED)
    assert done == {silencing}
    assert await reading == b"ok"
    writer.close()


async def test_a_cut_link_is_gone(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_unix_connection(proxy.address)
    writer.write(b"?")
    assert await reader.read(100) == b"ok"
    proxy.cut_one(random.Random(1))
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


# ---------------------------------------------------------------- the clock


async def test_the_clock_of_all_scripts_steps(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    for home, name in ((client, "script_text"), (client.Client, "read_time")):
        monkeypatch.setattr(home, name, getattr(home, name))
    clock.apply()
    backend = stores.backend
    await stores.lanes.push(Push("inbound:chaos:a", "1", {}), [Accept("1")])
    before = await backend.read_time()
    await clock.step(backend.redis, backend.keys.prefix, -48 * 3600)
    await stores.lanes.push(Push("inbound:chaos:a", "2", {}), [Accept("2")])
    assert timedelta(hours=47.9) < before - await backend.read_time() < timedelta(hours=48.1)
    assert sorted(await stores.lanes.counts()) == [
        (before - timedelta(days=days)).date().isoformat() for days in (2, 0)
    ]

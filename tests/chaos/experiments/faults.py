"""Experiments of their own, each with its figures. They raise if something is not as promised."""

from __future__ import annotations

import asyncio

from sigil.errors import StoreFull
from sigil.lanes.lane import LaneKind, Lease
from sigil.money.store import Limit
from sigil.refusals import LANE_FULL_TEXT
from tests.chaos.experiments.fleet import Fleet, open_fleet, stopwatch
from tests.chaos.site import until

ONE_EACH = {"routing": 1, "agent": 1, "outbound": 1}
HOUR = 3600


async def fill_memory(messages: int = 300) -> None:
    """At its limit the server takes nothing new, and what was accepted is answered."""
    async with open_fleet(ONE_EACH, latency=0.2) as fleet:
        for number in range(messages):
            await fleet.say(f"c{number}", 0)
        redis = fleet.client.redis
        used = (await redis.info("memory"))["used_memory"]
        await redis.config_set("maxmemory", used // 2)
        took, refused = stopwatch(), 0
        starting = asyncio.create_task(fleet.start())
        ending = asyncio.create_task(fleet.until_ended(messages, within=240))
        while not ending.done():
            try:
                await fleet.say("new", 0)
            except StoreFull:
                refused += 1
            await asyncio.sleep(0.1)
        await ending
        await starting
        counts = await fleet.counts()
        print(f"at the limit {counts['answered']} of {messages} were answered in {took():.1f} s")
        print(f"meanwhile {refused} new messages were refused with store.full, none was accepted")
        assert (counts["accepted"], counts["answered"]) == (messages, messages)
        await redis.config_set("maxmemory", 0)
        await fleet.say("new", 0)
        took = stopwatch()
        await fleet.until_ended(messages + 1, 30)
        print(f"with room again a message was answered in {took():.1f} s")
        await fleet.check_books()


async def step_clock(hours: int) -> None:
    """The server's clock steps while lanes are held by an agent that is killed, rest, and money is
    reserved."""
    held, behind, resting, hold_s = 10, 3, 10, 20
    everything = [Limit("all", "", 1_000_000, None)]
    places = {"routing": 1, "agent": 2, "outbound": 1}
    async with open_fleet(places) as fleet:
        fleet.hold.touch()
        for chat in range(resting):
            await _rest(fleet, f"resting{chat}")
        await fleet.start("routing-0", "agent-0", "outbound-0")
        for number in range(behind):
            for chat in range(held):
                await fleet.say(f"held{chat}", number)
        await fleet.until_called(held)
        await fleet.stores.budgets.reserve("abandoned", everything, 1000, 1000, ttl=hold_s)

        await fleet.step_clock(hours * HOUR)
        fleet.worker("agent-0").kill()
        took = stopwatch()
        fleet.hold.unlink()
        await fleet.start("agent-1")

        async def is_settled() -> bool:
            [hour, *_] = await fleet.stores.budgets.read_spending(everything)
            index = fleet.client.keys.budget_holds()
            return hour.reserved == 0 and not await fleet.client.redis.zcard(index)

        settling = asyncio.create_task(until("the hold is settled", is_settled, 90))
        await _until_all(fleet, [f"resting{chat}" for chat in range(resting)])
        print(f"{resting} lanes that rested for 60 s: answered after {took():.1f} s")
        await _until_all(fleet, [f"held{chat}" for chat in range(held)], behind)
        print(f"{held} lanes of a killed agent, {held * behind} messages: after {took():.1f} s")
        await settling
        print(f"money reserved for {hold_s} s by nobody who lives: free after {took():.1f} s")
        await fleet.until_ended(held * behind + resting, 30)
        counts = await fleet.counts()
        assert counts["answered"] == counts["accepted"] == held * behind + resting, counts
        await fleet.check_books()


async def _rest(fleet: Fleet, chat: str) -> None:
    """Somebody took the lane of a new message at once, and parked it for a minute."""
    lanes = fleet.stores.lanes
    lane = await lanes.key(LaneKind.INBOUND, "chaos", "chaos", "default", chat)
    await fleet.say(chat, 0)
    lease = await lanes.take(lane, chat, ttl=15, limit=1)
    assert isinstance(lease, Lease), f"{lane}: {lease}"
    await lanes.park(lane, lease.token, delay=60)


async def _until_all(fleet: Fleet, chats: list[str], each: int = 1) -> None:
    """Waits until all of these have so many replies."""

    async def have_replies() -> bool:
        told = [line["chat"] for line in fleet.lines("platform")]
        return all(told.count(chat) >= each for chat in chats)

    await until("all have replies", have_replies, 120)


async def flood_one_chat(messages: int = 10_000) -> None:
    """One chat gets thousands of messages within seconds; others write meanwhile."""
    async with open_fleet(ONE_EACH, latency=0.02) as fleet:
        await fleet.start()
        took, waits, gate = stopwatch(), [], asyncio.Semaphore(64)

        async def write(number: int) -> None:
            async with gate:
                await fleet.say("hot", number)

        async def watch_others() -> None:
            for number in range(5):
                wait = stopwatch()
                await fleet.say(f"other{number}", 0)
                await _until_all(fleet, [f"other{number}"])
                waits.append(wait())

        flooding = asyncio.gather(*map(write, range(messages)))
        await asyncio.gather(flooding, watch_others())
        await fleet.until_ended(messages + len(waits), 300)
        counts = await fleet.counts()
        print(f"{messages} messages to one chat ended in {took():.1f} s: {dict(counts)}")
        notice = LANE_FULL_TEXT.partition("{")[0]
        notices = sum(line["text"].startswith(notice) for line in fleet.lines("platform"))
        print(f"{notices} notices that the chat is full; others waited {max(waits):.2f} s at most")
        assert counts["answered"] + counts["refused"] == messages + len(waits)
        # Its lane may be empty now and then, which ends an episode.
        assert notices <= 1 + took() / 5
        await fleet.check_books()


async def silence_connections() -> None:
    """Every connection that is open falls silent for good, in one worker of each role, which are
    all there are; new connections work."""
    async with open_fleet(ONE_EACH, linked=True) as fleet:
        await fleet.start()
        await fleet.say("c", 0)
        await _until_all(fleet, ["c"])
        silences = [asyncio.create_task(link.silence(600)) for link in fleet.links.values()]
        await asyncio.sleep(0)
        took = stopwatch()
        await fleet.say("c", 1)
        await _until_all(fleet, ["c"], 2)
        print(f"a message was answered {took():.1f} s after all links fell silent")
        took = stopwatch()
        await fleet.say("c", 2)
        await _until_all(fleet, ["c"], 3)
        print(f"the next one in {took():.1f} s")
        for silence in silences:
            silence.cancel()
        assert (await fleet.counts())["dead"] == 0

"""Holding lanes: renewal, loss, stops, and a store that does not answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from sigil.errors import EffectRejected, LaneFull, LeaseLost, StoreError
from sigil.lanes import held as held_module
from sigil.lanes.effects import Finish, Journal, Outcome, Push, Stop
from sigil.lanes.held import Held, Stopped
from sigil.lanes.lane import Refusal, Renewal
from sigil.lanes.leases import RENEWED_TOGETHER, LeaseKeeper, LeaseTerms
from sigil.stores import Stores
from sigil.testing import expire_leases, fake_stores
from tests.talking import Woken

LANE = "session:any:a"


class Lanes:
    """Delegates; raises `errors` first, before or after the call was applied."""

    def __init__(self, stores: Stores) -> None:
        self._lanes = stores.lanes
        self.errors: list[tuple[str, Exception, bool]] = []
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._lanes, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            error, applied = None, True
            if self.errors and self.errors[0][0] == name:
                _, error, applied = self.errors.pop(0)
            answer = await method(*args, **kwargs) if applied else None
            if error is not None:
                raise error
            return answer

        return call


class LateAnswers:
    """Lanes whose answer to a commit is on its way for as long as a test likes."""

    def __init__(self, stores: Stores) -> None:
        self._lanes = stores.lanes
        self.executed = asyncio.Event()
        self.arrives = asyncio.Event()
        self.renewed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lanes, name)

    async def commit(self, *args: Any, **kwargs: Any) -> Any:
        answer = await self._lanes.commit(*args, **kwargs)
        self.executed.set()
        await self.arrives.wait()
        return answer

    async def renew_together(self, *args: Any, **kwargs: Any) -> Sequence[Renewal | None]:
        try:
            return await self._lanes.renew_together(*args, **kwargs)
        finally:
            self.renewed.set()


class Bench:
    def __init__(self, stores: Stores | None = None, lanes: Any = None) -> None:
        self.stores = stores or fake_stores()
        self.lanes: Any = lanes or Lanes(self.stores)
        self.woken = Woken()

    def keeper(self, ttl: float = 15.0, every: float = 60.0, **more: Any) -> LeaseKeeper:
        terms = LeaseTerms(ttl, every, **more)
        return LeaseKeeper(self.lanes, self.woken, lambda: terms)

    async def fill(self, *ids: str) -> None:
        for item_id in ids:
            await self.stores.lanes.push(Push(LANE, item_id, {}))

    async def steal(self) -> None:
        await expire_leases(self.stores)
        taken = await self.stores.lanes.take(LANE, "thief", ttl=60, limit=1)
        assert not isinstance(taken, Refusal)

    async def stop(self) -> None:
        await self.stores.lanes.push(Push("inbound:memory:s", "s", {}))
        lease = await self.stores.lanes.take("inbound:memory:s", "s", ttl=9, limit=1)
        assert not isinstance(lease, Refusal)
        await self.stores.lanes.commit(lease.lane, lease.token, 1, ["s"], [Stop(LANE)])


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.stores.backend.close()


def ids(held: Held) -> list[str]:
    return [item.id for item in held.items]


async def finish_all(keeper: LeaseKeeper) -> None:
    async with keeper.hold(LANE) as held:
        assert isinstance(held, Held)
        await held.finish(held.items)


# ---------------------------------------------------------------- what is in hand


async def test_a_lane_in_hand_mirrors_what_is_left_of_it(bench: Bench) -> None:
    await bench.fill(*"1234")
    async with bench.keeper().hold(LANE) as held:
        assert isinstance(held, Held)
        await held.park(strike=True)
    bench.woken.lanes.clear()
    async with bench.keeper(items=3).hold(LANE) as held:
        assert isinstance(held, Held)
        assert (ids(held), held.strikes) == (["1", "2", "3"], 1)
        await held.commit(effects=[Journal(LANE, "{}")], keep=True)
        assert (ids(held), held.strikes) == (["1", "2", "3"], 1)
        await held.finish(held.items[:2], [Finish("1", Outcome.ANSWERED)])
        assert (ids(held), held.strikes, held.given_back) == (["3"], 0, False)
        await held.finish(held.items)
        assert (ids(held), held.given_back) == ([], True)
    assert bench.woken.lanes == [LANE]
    assert (await bench.stores.lanes.status(LANE)).waiting == 1


async def test_a_lane_that_cannot_be_taken_says_why(bench: Bench) -> None:
    async with bench.keeper().hold(LANE) as held:
        assert held is Refusal.EMPTY
    await bench.fill("1")
    async with bench.keeper().hold(LANE), bench.keeper().hold(LANE) as second:
        assert second is Refusal.BUSY


async def test_who_drains_gives_back_after_the_item_in_hand(bench: Bench) -> None:
    await bench.fill(*"12")
    keeper = bench.keeper()
    async with keeper.hold(LANE) as held:
        assert isinstance(held, Held)
        keeper.draining = True
        await held.finish(held.items[:1])
        assert held.given_back


@pytest.mark.parametrize("again", [False, True])
async def test_a_lane_whose_taker_is_stopped_before_it_knows_goes_back_untouched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    await bench.fill("1")
    if again:
        await bench.stores.lanes.take(LANE, "crashed", ttl=9, limit=1)
        await expire_leases(bench.stores)
    take, taken = bench.stores.lanes.take, asyncio.Event()

    async def fall_silent(*args: Any, **kwargs: Any) -> Any:
        answer = await take(*args, **kwargs)
        if not taken.is_set():
            taken.set()
            await asyncio.Event().wait()
        return answer

    monkeypatch.setattr(bench.stores.lanes, "take", fall_silent)
    taker = asyncio.create_task(finish_all(bench.keeper()))
    await taken.wait()
    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker
    lease = await take(LANE, "next", ttl=9, limit=1)
    assert not isinstance(lease, Refusal)
    assert (lease.strikes, lease.again) == (0, again)
    assert bench.woken.lanes == [LANE]


# ---------------------------------------------------------------- renewal and loss


async def test_leases_are_renewed_while_they_are_held(bench: Bench) -> None:
    await bench.fill("1")
    async with bench.keeper(every=0.01).hold(LANE):
        await expire_leases(bench.stores)
        while bench.lanes.calls.count("renew_together") < 2:
            await asyncio.sleep(0.005)
        taken = await bench.stores.lanes.take(LANE, "thief", ttl=9, limit=1)
        assert taken is Refusal.BUSY
    renewals = bench.lanes.calls.count("renew_together")
    await asyncio.sleep(0.05)
    assert bench.lanes.calls.count("renew_together") == renewals, "nothing is held any more"


async def test_a_renewal_that_meets_the_last_commit_does_not_swallow_its_wakeups(
    stores: Stores,
) -> None:
    """The chaos run found this: the commit had ended the lease, the renewal found it gone and
    cancelled the holder, so that nobody learned which lanes to wake and they waited for the
    sweep."""
    late = LateAnswers(stores)
    bench = Bench(stores, late)
    await bench.fill(*"12")
    async with bench.keeper(every=0.01).hold(LANE) as held:
        assert isinstance(held, Held)
        committing = asyncio.ensure_future(held.commit(["1"]))
        await late.executed.wait()
        late.renewed.clear()
        await late.renewed.wait()
        late.arrives.set()
        await committing
    assert bench.woken.lanes == [LANE]


async def test_a_lost_lease_cancels_its_holder(bench: Bench) -> None:
    await bench.fill("1")

    async def work() -> None:
        async with bench.keeper(every=0.01).hold(LANE):
            await bench.steal()
            await asyncio.Event().wait()

    with pytest.raises(LeaseLost):
        await work()


async def test_a_lane_taken_again_by_the_same_process_ends_the_first_holder(bench: Bench) -> None:
    await bench.fill("1")
    keeper = bench.keeper()
    first_holds = asyncio.Event()

    async def first() -> None:
        async with keeper.hold(LANE):
            first_holds.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(first())
    await first_holds.wait()
    await expire_leases(bench.stores)
    async with keeper.hold(LANE) as second:
        assert isinstance(second, Held)
        with pytest.raises(LeaseLost):
            await holder
        await second.renew()


async def test_a_timeout_of_the_body_is_not_a_lost_lease(bench: Bench) -> None:
    await bench.fill("1")
    with pytest.raises(TimeoutError):
        async with bench.keeper().hold(LANE):
            raise TimeoutError


async def test_a_renewal_that_fails_does_not_end_the_work(bench: Bench) -> None:
    await bench.fill("1")
    bench.lanes.errors = [("renew_together", StoreError("away"), False)] * 2
    async with bench.keeper(every=0.01).hold(LANE) as held:
        assert isinstance(held, Held)
        while bench.lanes.calls.count("renew_together") < 3:
            await asyncio.sleep(0.005)
        await held.finish(held.items)


async def test_leases_are_renewed_in_groups_and_each_loss_is_its_own(bench: Bench) -> None:
    lanes = [f"session:any:{n}" for n in range(RENEWED_TOGETHER + 1)]
    for n, lane in enumerate(lanes):
        await bench.stores.lanes.push(Push(lane, str(n), {}))
    keeper, all_held, lost = bench.keeper(every=0.05), asyncio.Barrier(len(lanes) + 1), []

    async def work(lane: str) -> None:
        try:
            async with keeper.hold(lane):
                await all_held.wait()
                await asyncio.Event().wait()
        except LeaseLost:
            lost.append(lane)

    tasks = [asyncio.create_task(work(lane)) for lane in lanes]
    await all_held.wait()
    stolen: Any = Refusal.BUSY
    while stolen is Refusal.BUSY:  # a renewal may have come between
        await expire_leases(bench.stores)
        stolen = await bench.stores.lanes.take(lanes[0], "thief", ttl=60, limit=1)
    bench.lanes.calls.clear()
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    while bench.lanes.calls.count("renew_together") < 5:  # two whole rounds
        await asyncio.sleep(0.005)
    assert lost == lanes[:1]
    held = await asyncio.gather(*(bench.stores.lanes.take(x, "n", ttl=9, limit=1) for x in lanes))
    assert held == [Refusal.BUSY] * len(lanes)
    await keeper.hand_back()


# ---------------------------------------------------------------- before something outside


class Clock:
    """Stands in for the `time` module."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        for module in ("held", "leases"):
            monkeypatch.setattr(f"sigil.lanes.{module}.time", self)

    def monotonic(self) -> float:
        return self.now


async def test_a_lease_that_was_confirmed_lately_is_not_asked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    await bench.fill("1")
    async with bench.keeper(ttl=15).hold(LANE) as held:
        assert isinstance(held, Held)
        clock.now += 11.9
        await held.confirm_fresh()
        assert "renew" not in bench.lanes.calls
        clock.now += 0.1
        await held.confirm_fresh()
        assert bench.lanes.calls.count("renew") == 1
        await held.confirm_fresh()
        assert bench.lanes.calls.count("renew") == 1


async def test_a_lease_counts_from_before_it_was_asked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    await bench.fill("1")
    method = bench.stores.lanes.renew

    async def slow_answer(*args: Any, **kwargs: Any) -> Any:
        answer = await method(*args, **kwargs)
        bench.lanes.calls.append("renew")
        clock.now += 12.0 if bench.lanes.calls.count("renew") == 1 else 0.0
        return answer

    async with bench.keeper(ttl=15).hold(LANE) as held:
        assert isinstance(held, Held)
        clock.now += 12.0
        bench.lanes.renew = slow_answer
        await held.confirm_fresh()
        assert bench.lanes.calls.count("renew") == 2, "the first answer came too late"


async def test_nothing_is_begun_under_a_lease_that_is_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    await bench.fill("1")

    async def work() -> None:
        async with bench.keeper(ttl=15).hold(LANE) as held:
            assert isinstance(held, Held)
            await bench.steal()
            clock.now += 12.0
            await held.confirm_fresh()
            pytest.fail("it would be done by two")

    with pytest.raises(LeaseLost):
        await work()


async def test_nothing_is_begun_between_a_loss_and_the_end_of_the_holder(bench: Bench) -> None:
    await bench.fill("1")

    async def work() -> None:
        async with bench.keeper(ttl=15).hold(LANE) as held:
            assert isinstance(held, Held)
            await bench.steal()
            held.lose()
            await held.confirm_fresh()
            pytest.fail("it would be done by two")

    with pytest.raises(LeaseLost):
        await work()


@pytest.mark.parametrize("begins", [False, True])
async def test_what_was_begun_is_said_when_it_is_given_back(bench: Bench, begins: bool) -> None:
    await bench.fill(*"12")
    keeper = bench.keeper()
    async with keeper.hold(LANE) as held:
        assert isinstance(held, Held)
        assert not held.again
        if begins:
            await held.confirm_fresh()
        await held.park()
    for _ in range(2):  # also from one who did not begin it anew
        async with keeper.hold(LANE) as held:
            assert isinstance(held, Held)
            assert held.again is begins
            await held.park()
    async with keeper.hold(LANE) as held:
        assert isinstance(held, Held)
        await held.commit(["1"], keep=True)
        assert not held.again
        await held.park()
    async with keeper.hold(LANE) as held:
        assert isinstance(held, Held)
        assert not held.again


# ---------------------------------------------------------------- a store that is away


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("verb", ["take", "commit", "park"])
async def test_a_short_outage_is_waited_for(bench: Bench, verb: str, applied: bool) -> None:
    await bench.fill(*"12")
    bench.lanes.errors = [(verb, StoreError("away"), applied)]
    async with bench.keeper().hold(LANE) as held:
        assert isinstance(held, Held)
        await held.commit(["1"], [Push("delivery:m:a", "o", {})], keep=True)
        await held.park(strike=True)
    assert bench.lanes.calls.count(verb) == 2
    taken = await bench.stores.lanes.take(LANE, "n", ttl=9, limit=9)
    assert not isinstance(taken, Refusal)
    assert ([item.id for item in taken.items], taken.strikes) == (["2"], 1)


async def test_a_commit_is_repeated_for_longer_than_the_lease_lasts(bench: Bench) -> None:
    """What it holds was paid for, and while the store is away nobody else can take the lane."""
    await bench.fill("1")
    bench.lanes.errors = [("commit", StoreError("away"), False)] * 4
    await finish_all(bench.keeper(ttl=0.2))
    assert (await bench.stores.lanes.status(LANE)).waiting == 0


async def test_a_very_long_outage_ends_the_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sigil.lanes.held.COMMIT_WITHIN_S", 0.2)
    await bench.fill("1")
    bench.lanes.errors = [("commit", StoreError("away"), False)] * 99
    with pytest.raises(StoreError, match="away"):
        await finish_all(bench.keeper())


async def test_a_commit_that_waits_for_the_store_is_handed_back_at_once(bench: Bench) -> None:
    await bench.fill("1")
    bench.lanes.errors = [("commit", StoreError("away"), False)] * 99
    keeper = bench.keeper()

    async def work() -> None:
        async with keeper.hold(LANE) as held:
            assert isinstance(held, Held)
            try:
                await held.finish(held.items)
            finally:
                await held.park()

    step = asyncio.create_task(work())
    while "commit" not in bench.lanes.calls:
        await asyncio.sleep(0)
    await keeper.hand_back()
    assert step.cancelled()
    assert "park" in bench.lanes.calls
    assert await bench.stores.lanes.take(LANE, "next", ttl=9, limit=1) is not Refusal.BUSY


@pytest.mark.parametrize(
    "error", [EffectRejected("no"), LaneFull("x"), LeaseLost("gone")], ids=lambda e: e.code
)
async def test_an_answer_is_not_an_outage(bench: Bench, error: Exception) -> None:
    await bench.fill("1")
    bench.lanes.errors = [("commit", error, False)]
    with pytest.raises(type(error)):
        await finish_all(bench.keeper())
    assert bench.lanes.calls.count("commit") == 1


# ---------------------------------------------------------------- stops


async def test_a_stop_ends_only_what_may_be_stopped(bench: Bench) -> None:
    await bench.fill(*"12")
    keeper = bench.keeper()
    async with keeper.hold(LANE) as held:
        assert isinstance(held, Held)
        await bench.stop()

        async def work() -> None:
            async with held.stoppable():
                await keeper.look(LANE)
                await asyncio.Event().wait()

        with pytest.raises(Stopped):
            await work()
        assert held.stop == 2
        await held.finish(held.items[:1])
        assert held.stop == 1
        with pytest.raises(Stopped):
            async with held.stoppable():
                pytest.fail("what is to be stopped is not begun")
        await held.finish(held.items)


async def test_a_stop_that_was_swallowed_is_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.fill("1")
    keeper, swallowed = bench.keeper(), asyncio.Event()

    async def work(held: Held) -> None:
        async with held.stoppable():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            swallowed.set()
            await asyncio.Event().wait()

    async def hold() -> None:
        async with keeper.hold(LANE) as held:
            assert isinstance(held, Held)
            with pytest.raises(Stopped):
                await work(held)
            await asyncio.sleep(0)  # nothing is left of the cancellations
            await held.finish(held.items)

    holding = asyncio.create_task(hold())
    while not keeper.working:
        await asyncio.sleep(0)
    await bench.stop()
    while not swallowed.is_set():
        await keeper.look(LANE)
        await asyncio.sleep(0)
    await keeper.look(LANE)
    await asyncio.sleep(0)
    assert not holding.done(), "it may be cleaning up"
    monkeypatch.setattr(held_module, "STOPS_WITHIN_S", 0.0)
    await keeper.look(LANE)
    await asyncio.wait_for(holding, 5)


async def test_a_stop_read_before_a_commit_does_not_count_after_it(bench: Bench) -> None:
    await bench.fill(*"123")
    async with bench.keeper().hold(LANE) as held:
        assert isinstance(held, Held)
        await bench.stop()
        method = bench.stores.lanes.renew

        async def slow_answer(*args: Any, **kwargs: Any) -> Any:
            answer = await method(*args, **kwargs)
            await held.finish(held.items[:1])
            return answer

        bench.lanes.renew = slow_answer
        await held.renew()
        assert held.stop == 2, "the renewal says 3, but of an older head"


@pytest.mark.parametrize("stopped_first", [True, False])
async def test_a_stop_that_meets_a_commit_counts_from_the_new_head(
    stores: Stores, stopped_first: bool
) -> None:
    """A renewal is asked for and answered while the commit's answer is on its way."""
    late = LateAnswers(stores)
    bench = Bench(stores, late)
    await bench.fill(*"123")
    keeper = bench.keeper()
    async with keeper.hold(LANE) as held:
        assert isinstance(held, Held)
        if stopped_first:
            await bench.stop()
        committing = asyncio.ensure_future(held.commit(["1"], keep=True))
        await late.executed.wait()
        if not stopped_first:
            await bench.stop()
        await keeper.look(LANE)
        late.arrives.set()
        await committing
        assert (ids(held), held.stop) == (["2", "3"], 2)


async def test_looking_at_a_lane_that_is_not_held_does_nothing(bench: Bench) -> None:
    await bench.keeper().look(LANE)
    assert bench.lanes.calls == []

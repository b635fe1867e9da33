"""Any interleaving of workers on one lane, against a plain model of it.

Three workers take, commit, park, crash and lose their leases in any order; commits are repeated
at any later time, as a client does whose answer was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sigil.errors import EffectRejected, LaneFull, LeaseLost
from sigil.lanes.effects import Accept, Effect, Finish, Outcome, Push, Stop
from sigil.lanes.lane import Lease, Refusal, Renewal
from sigil.testing import expire_leases, fake_stores, make_due
from tests.budget_clock import Clock, script_text

T = TypeVar("T")

LANE, NEXT, CONTROL = "inbound:memory:x", "delivery:memory:y", "inbound:memory:z"
CAP = 6
WORKERS = st.sampled_from(["a", "b", "c"])


@dataclass
class Sent:
    """A commit as it was sent, so that it can be sent again."""

    token: int
    n: int
    done: tuple[str, ...]
    keep: bool


@dataclass
class Worker:
    """What a worker believes; it may be wrong."""

    lease: Lease | None = None
    hand: list[str] = field(default_factory=list)
    commits: int = 0


class LaneMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stores = fake_stores()
        self.lanes = self.stores.lanes
        # The store's clock stands still: only what a rule does changes what is due.
        self.run(Clock(self.stores, datetime.now(UTC).isoformat()).advance())
        self.workers = {name: Worker() for name in "abc"}
        self.sent: list[Sent] = []
        self.granted: list[tuple[str, int]] = []  # nonce and token
        self.pushed = self.nonces = self.stops = 0
        # the model
        self.queue: list[str] = []
        self.handled: list[str] = []
        self.holder: int | None = None  # the token that is granted
        self.expired = self.parked = False
        self.put_off = False  # the sweep has found the expired lease, and looks again later
        self.last_token = 0
        self.last_commit: tuple[int, int] | None = None
        self.strikes = self.lost = self.stop = 0
        self.alone: int | None = None  # the token of a lease that was granted to a suspect
        self.begun: str | None = None  # the head that somebody has, or had, in hand

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        try:
            self.drain()
        finally:
            self.run(self.stores.backend.close())
            self.loop.close()

    # ------------------------------------------------------------ pushing

    @rule()
    def push(self) -> None:
        item_id = f"m{self.pushed}"
        push = Push(LANE, item_id, {"body": "x"}, cap=CAP)
        if len(self.queue) >= CAP:
            with pytest.raises(LaneFull):
                self.run(self.lanes.push(push, [Accept(item_id)]))
            return
        answer = self.run(self.lanes.push(push, [Accept(item_id)]))
        assert not answer.duplicate
        self.pushed += 1
        self.queue.append(item_id)
        if len(self.queue) == 1 and self.holder is None and not self.parked:
            assert answer.wake == (LANE,)

    @precondition(lambda self: self.pushed)
    @rule(data=st.data())
    def push_again(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, self.pushed - 1))
        again = Push(LANE, f"m{number}", {"body": "y"}, cap=CAP)
        assert self.run(self.lanes.push(again, [Accept(f"m{number}")])).duplicate

    # ------------------------------------------------------------ taking

    @rule(name=WORKERS, limit=st.integers(1, 4), twice=st.booleans(), suspect=st.booleans())
    def take(self, name: str, limit: int, twice: bool, suspect: bool = True) -> None:
        self.nonces += 1
        nonce = f"n{self.nonces}"
        answer = self.run(self.lanes.take(LANE, nonce, ttl=1000, limit=limit, suspect=suspect))
        expected = self.what_take_says(suspect)
        if expected is not None:
            assert answer is expected
            if expected is Refusal.EMPTY:
                self.holder, self.expired = None, False
            return
        assert isinstance(answer, Lease)
        if self.holder is not None:
            self.lost += 1
            self.strikes += self.alone == self.holder
        assert answer.token > self.last_token
        assert [item.id for item in answer.items] == self.queue[:limit]
        assert (answer.strikes, answer.stop) == (self.strikes, self.stop)
        assert answer.suspect == (self.lost >= 2)
        assert answer.again == (self.begun == self.queue[0])
        self.begun = self.queue[0]
        self.holder = self.last_token = answer.token
        self.alone = answer.token if answer.suspect else None
        self.expired = self.parked = False
        if twice:
            assert self.run(self.lanes.take(LANE, nonce, ttl=1000, limit=limit)) == answer
        self.granted.append((nonce, answer.token))
        self.workers[name] = Worker(answer, [item.id for item in answer.items])

    @precondition(lambda self: self.granted)
    @rule(data=st.data())
    def take_again(self, data: st.DataObject) -> None:
        """It was sent twice, and the second copy is late."""
        nonce, token = data.draw(st.sampled_from(self.granted[-4:]))
        if self.queue and (token != self.holder or self.expired):
            answer = self.run(self.lanes.take(LANE, nonce, ttl=1000, limit=1))
            assert answer is Refusal.BUSY

    def what_take_says(self, suspect: bool) -> Refusal | None:
        if self.holder is not None and not self.expired:
            return Refusal.BUSY
        if not self.queue:
            return Refusal.EMPTY
        if self.holder is None and self.parked:
            return Refusal.PARKED
        if self.lost + (self.holder is not None) >= 2 and not suspect:
            return Refusal.SUSPECT
        return None

    @rule(name=WORKERS)
    def renew(self, name: str) -> None:
        worker = self.workers[name]
        if worker.lease is None:
            return
        if worker.lease.token != self.holder:
            with pytest.raises(LeaseLost):
                self.run(self.lanes.renew(LANE, worker.lease.token, ttl=1000))
            worker.lease = None
            return
        renewal = self.run(self.lanes.renew(LANE, worker.lease.token, ttl=1000))
        token, n = self.last_commit or (0, 0)
        assert renewal == Renewal(self.stop, n if token == self.holder else 0)
        self.expired = False

    # ------------------------------------------------------------ committing

    @rule(name=WORKERS, count=st.integers(0, 3), keep=st.booleans(), believes=st.booleans())
    def commit(self, name: str, count: int, keep: bool, believes: bool) -> None:
        worker = self.workers[name]
        if worker.lease is None:
            return
        worker.commits += 1
        done = tuple(worker.hand[:count])
        sent = Sent(worker.lease.token, worker.commits, done, keep)
        self.sent.append(sent)
        self.send(sent)
        worker.hand = worker.hand[count:]
        if not keep and not believes:  # else it goes on, as one whose answer was lost might
            worker.lease = None

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def commit_again(self, data: st.DataObject) -> None:
        self.send(data.draw(st.sampled_from(self.sent[-6:])))

    def send(self, sent: Sent) -> None:
        effects: list[Effect] = [Finish(item_id, Outcome.ANSWERED) for item_id in sent.done]
        effects += [Push(NEXT, f"reply to {item_id}", {}) for item_id in sent.done]
        call = self.lanes.commit(LANE, sent.token, sent.n, sent.done, effects, keep=sent.keep)
        if self.last_commit == (sent.token, sent.n):
            self.run(call)  # known: answered as before, and nothing is applied
        elif sent.token != self.holder:
            with pytest.raises(LeaseLost):
                self.run(call)
        elif self.is_too_late(sent) or list(sent.done) != self.queue[: len(sent.done)]:
            with pytest.raises(EffectRejected):
                self.run(call)
        else:
            answer = self.run(call)
            self.apply(sent)
            assert answer.stop == self.stop

    def is_too_late(self, sent: Sent) -> bool:
        return self.last_commit is not None and self.last_commit > (sent.token, sent.n)

    def apply(self, sent: Sent) -> None:
        self.last_commit = (sent.token, sent.n)
        if sent.done:
            self.handled += self.queue[: len(sent.done)]
            del self.queue[: len(sent.done)]
            self.strikes = self.lost = 0
            self.alone = None
            self.begun = self.queue[0] if sent.keep and self.queue else None
            self.stop = max(0, self.stop - len(sent.done))
        if not sent.keep:
            self.holder, self.expired = None, False

    # ------------------------------------------------------------ what goes wrong

    @rule(
        name=WORKERS,
        strike=st.booleans(),
        delay=st.sampled_from([0.0, 500.0]),
        begun=st.booleans(),
    )
    def park(self, name: str, strike: bool, delay: float, begun: bool) -> None:
        worker = self.workers[name]
        if worker.lease is None:
            return
        token, worker.lease = worker.lease.token, None

        def send() -> None:
            park = self.lanes.park(LANE, token, delay=delay, strike=strike, begun=begun)
            self.run(park)

        if token != self.holder:
            with pytest.raises(LeaseLost):
                send()
            return
        send()
        send()  # its answer was lost
        if not begun:
            self.begun = None
        self.holder, self.expired = None, False
        self.parked = delay > 0 and bool(self.queue)
        self.strikes += strike

    @rule(name=WORKERS)
    def crash(self, name: str) -> None:
        self.workers[name].lease = None

    @rule()
    def leases_run_out(self) -> None:
        self.run(expire_leases(self.stores))
        self.expired = self.holder is not None
        self.put_off = False

    @rule()
    def time_passes(self) -> None:
        self.run(make_due(self.stores))
        if self.holder is None:
            self.parked = False

    @rule()
    def sweep(self) -> None:
        swept = self.run(self.lanes.sweep())
        if self.holder is None:
            return
        if not self.expired or self.put_off:
            assert LANE not in swept.wake
        elif self.queue:
            assert LANE in swept.wake
            self.put_off = True
        else:
            self.holder, self.expired = None, False

    @rule()
    def ask_to_stop(self) -> None:
        self.stops += 1
        self.run(self.lanes.push(Push(CONTROL, f"s{self.stops}", {})))
        lease = self.run(self.lanes.take(CONTROL, f"s{self.stops}", ttl=1000, limit=1))
        assert isinstance(lease, Lease)
        done = [f"s{self.stops}"]
        self.run(self.lanes.commit(CONTROL, lease.token, 1, done, [Stop(LANE)]))
        if self.queue:
            self.stop = len(self.queue)
            if self.holder is None:
                self.parked = False

    # ------------------------------------------------------------ what must hold

    @invariant()
    def the_lane_is_as_the_model_says(self) -> None:
        status = self.run(self.lanes.status(LANE))
        assert status.waiting == len(self.queue)
        assert status.leased == (self.holder is not None)

    @invariant()
    def nothing_is_lost_doubled_or_reordered(self) -> None:
        everything = [f"m{number}" for number in range(self.pushed)]
        assert self.handled + self.queue == everything

    def drain(self) -> None:
        """After all that, the sweep alone brings the lane to its end, and each reply is there
        once, in order."""
        self.leases_run_out()
        self.time_passes()
        if self.queue:
            assert LANE in self.run(self.lanes.sweep()).wake
        while self.queue:
            self.take("a", 4, False)
            self.commit("a", 3, False, False)
        self.nothing_is_lost_doubled_or_reordered()
        replies = self.run(self.lanes.take(NEXT, "last", ttl=1000, limit=10_000))
        sent = [item.id for item in replies.items] if isinstance(replies, Lease) else []
        assert sent == [f"reply to m{number}" for number in range(self.pushed)]
        report = self.run(self.lanes.verify())
        assert report["balanced"], report["problems"]


@pytest.fixture(autouse=True)
def clock_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)


def test_any_interleaving_is_as_the_model_says() -> None:
    run_state_machine_as_test(
        LaneMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def machine() -> Iterator[LaneMachine]:
    made = LaneMachine()
    try:
        yield made
        made.the_lane_is_as_the_model_says()
    finally:
        made.teardown()


def test_a_lane_that_is_parked_after_its_last_item_wakes_with_the_next_push(
    machine: LaneMachine,
) -> None:
    machine.push()
    machine.take("a", 3, False)
    machine.commit("a", 1, True, False)
    machine.park("a", False, 500.0, begun=False)
    machine.time_passes()
    machine.push()


def test_a_lease_that_the_sweep_has_put_off_is_held_until_the_sweep_looks_again(
    machine: LaneMachine,
) -> None:
    machine.push()
    machine.take("a", 3, False)
    machine.leases_run_out()
    machine.sweep()
    machine.commit("a", 1, True, False)
    machine.sweep()

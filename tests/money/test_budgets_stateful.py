"""Any order of reservations, settlements, lost replies, crashes and passing time, against a plain
model of budgets: money moves as the model says, and no limit is ever exceeded by what is granted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sigil.money.store import Limit, NoRoom
from sigil.testing import fake_stores
from tests.budget_clock import Clock, script_text

T = TypeVar("T")

HOUR, DAY = 3600, 24 * 3600
LENGTHS = {"hour": HOUR, "day": DAY}
START = "2026-11-22T22:30:00"
EXPIRED_ON_THE_WAY = 20
LIMITS = st.one_of(st.none(), st.integers(0, 300))
SUBJECTS = st.sampled_from(["a", "b"])

Window = tuple[str, str, str, int]  # scope, subject, hour or day, number of it


@dataclass
class Held:
    """A reservation as the model knows it; `until` is when it expires."""

    number: int
    limits: list[Limit]
    want: int
    least: int
    amount: int
    until: float
    windows: list[Window] = field(default_factory=list)
    open: bool = True


class BudgetMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stores = fake_stores()
        self.budgets = self.stores.budgets
        self.clock = Clock(self.stores, START)
        self.run(self.clock.advance())
        self.made: list[Held] = []
        self.asked = 0
        # the model
        self.spent: dict[Window, int] = {}
        self.reserved: dict[Window, int] = {}

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        try:
            self.run(self.clock.advance(DAY))
            while self.run(self.budgets.expire_holds(1000)):
                pass
            for held in self.made:
                self.close(held, held.amount)
            assert not any(self.reserved.values())
            self.run(self.clock.advance(-DAY))
            self.shows_what_the_model_has()
        finally:
            self.run(self.stores.backend.close())
            self.loop.close()

    def windows(self, limits: list[Limit]) -> list[tuple[Window, int | None]]:
        return [
            ((limit.scope, limit.subject, name, int(self.clock.now // length)), most)
            for limit in limits
            for (name, length), most in zip(LENGTHS.items(), (limit.hour, limit.day), strict=True)
        ]

    def left(self, window: Window, most: int) -> int:
        return most - self.spent.get(window, 0) - self.reserved.get(window, 0)

    # ------------------------------------------------------------ reserving

    @rule(
        session=SUBJECTS,
        user=SUBJECTS,
        limits=st.tuples(*[LIMITS] * 6),
        least=st.integers(1, 60),
        more=st.integers(0, 120),
        ttl=st.sampled_from([60, 1800, 5400, 86_000]),
        twice=st.booleans(),
    )
    def reserve(self, session, user, limits, least, more, ttl, twice) -> None:
        scopes = [
            Limit("session", session, *limits[0:2]),
            Limit("user", user, *limits[2:4]),
            Limit("all", "", *limits[4:6]),
        ]
        self.asked += 1
        until = self.clock.now + ttl
        held = Held(self.asked, scopes, least + more, least, 0, until)
        for _ in range(2 if twice else 1):
            # What is expired by the way counts as spent when a refusal is asked for again.
            expected = held.amount or self.what_reserve_says(held)
            answer = self.run(
                self.budgets.reserve(str(held.number), scopes, held.want, least, ttl=ttl)
            )
            assert answer == expected
            if not held.amount:
                self.expire_in_model(EXPIRED_ON_THE_WAY)
            if isinstance(expected, int):
                held.amount = expected
        if held.amount:
            held.windows = [window for window, _ in self.windows(scopes)]
            for window in held.windows:
                self.reserved[window] = self.reserved.get(window, 0) + expected
            self.made.append(held)

    def what_reserve_says(self, held: Held) -> int | NoRoom:
        room, refusals = held.want, []
        for window, most in self.windows(held.limits):
            if most is None:
                continue
            left = self.left(window, most)
            if left < held.least:
                scope, subject, name, _ = window
                resets_in = LENGTHS[name] - self.clock.now % LENGTHS[name]
                spent = self.spent.get(window, 0)
                rest = resets_in if most - spent < held.least else 0
                refusal = NoRoom(scope, subject, name, most, max(0, left), resets_in, spent)
                refusals.append((float("inf") if most < held.least else rest, refusal))
            room = min(room, left)
        # Of equal ones `max` takes the first.
        return max(refusals, key=lambda each: each[0])[1] if refusals else room

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def ask_again_as_if_the_reply_was_lost(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.made))
        again = self.budgets.reserve(str(held.number), held.limits, held.want, held.least, ttl=HOUR)
        assert self.run(again) == held.amount

    # ------------------------------------------------------------ settling

    @precondition(lambda self: self.made)
    @rule(data=st.data(), spent=st.integers(0, 250), times=st.integers(1, 2))
    def settle(self, data: st.DataObject, spent: int, times: int) -> None:
        held = data.draw(st.sampled_from(self.made))
        for _ in range(times):
            self.run(self.budgets.settle(str(held.number), spent))
        self.close(held, spent)

    def close(self, held: Held, spent: int) -> None:
        if not held.open:
            return
        held.open = False
        for window in held.windows:
            self.reserved[window] -= held.amount
            self.spent[window] = self.spent.get(window, 0) + spent

    # ------------------------------------------------------------ time

    @rule(seconds=st.sampled_from([0, 1, 59, 60, 1800, 3600, 5400, DAY // 3]))
    def time_passes(self, seconds: int) -> None:
        self.run(self.clock.advance(seconds))

    @rule(most=st.integers(1, 3))
    def expire(self, most: int) -> None:
        assert self.run(self.budgets.expire_holds(most)) == self.expire_in_model(most)

    def expire_in_model(self, most: int) -> int:
        over = [held for held in self.made if held.open and held.until <= self.clock.now]
        # Of equal times the store takes them in the order of their keys' names.
        over.sort(key=lambda held: (held.until, str(held.number)))
        for held in over[:most]:
            self.close(held, held.amount)
        return len(over[:most])

    # ------------------------------------------------------------ what always holds

    @invariant()
    def shows_what_the_model_has(self) -> None:
        limits = [Limit(scope, name) for scope in ("session", "user") for name in "ab"]
        limits.append(Limit("all"))
        found = self.run(self.budgets.read_spending(limits))
        for seen, (window, _) in zip(found, self.windows(limits), strict=True):
            assert (seen.scope, seen.subject, seen.window) == window[:3]
            assert seen.spent == self.spent.get(window, 0)
            assert seen.reserved == self.reserved.get(window, 0) >= 0

    @invariant()
    def who_has_spent_is_known(self) -> None:
        today = int(self.clock.now // DAY)
        users = {
            window[1]
            for held in self.made
            for window in held.windows
            if window[0] == "user" and window[2:] == ("day", today)
        }
        assert set(self.run(self.budgets.list_subjects("user"))) == users


@pytest.mark.slow
def test_money_moves_as_the_model_says(monkeypatch):
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        BudgetMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""Budgets: the limits of a turn, and its meter."""

from __future__ import annotations

import pytest

from sigil.errors import BudgetExceeded
from sigil.money.budgets import Budgets
from sigil.money.price_book import PriceBook
from sigil.money.store import Limit
from tests.money.spending import HELLO, INFO, INTO, TURN, NoStore, budgets, settings, usd


def test_the_limits_of_a_turn_are_those_of_its_four_scopes():
    made = settings(
        budgets={
            "max_day_usd": 20,
            "session": {"max_hour_usd": 0.1},
            "user": {"max_hour_usd": 1, "max_day_usd": 2},
            "workspace": {"max_day_usd": 10},
        },
        users={"alice": {"budget": {"max_day_usd": 3}}, "bob": {}},
        workspaces={"lab": {"budget": {"max_hour_usd": 0, "max_day_usd": 0.29}}},
    )
    limits = Budgets(NoStore(), PriceBook(), made).find_limits
    assert limits("s", "alice", "lab") == [
        Limit("session", "s", 100_000, None),
        Limit("user", "alice", 1_000_000, 3_000_000),
        Limit("workspace", "lab", 0, 290_000),
        Limit("all", "", None, 20_000_000),
    ]
    others = limits("t", "stranger", "personal:stranger")
    assert others[1] == Limit("user", "stranger", 1_000_000, 2_000_000)
    assert others[2] == Limit("workspace", "personal:stranger", None, 10_000_000)


async def test_one_persons_spending_is_not_anothers(stores):
    made = budgets(stores, budgets={"user": {"max_day_usd": usd(INTO + 10_000)}})
    first = made.open_meter(**TURN)
    await first.reserve("p/m", HELLO, INFO)
    with pytest.raises(BudgetExceeded):
        await made.open_meter(**TURN | {"session_key": "t"}).reserve("p/m", HELLO, INFO)
    await made.open_meter(**TURN | {"user_id": "bob"}).reserve("p/m", HELLO, INFO)


async def test_a_hold_outlives_a_call_and_its_second_try(monkeypatch):
    kept = []

    class Store:
        async def reserve(self, id, limits, want, least, *, ttl):
            kept.append(ttl)
            return want

    made = settings(timeouts={"model_call": 100})
    meter = Budgets(Store(), PriceBook(made.providers), made).open_meter(**TURN)
    await meter.reserve("p/m", HELLO, INFO)
    assert kept[0] > 200

"""One turn's meter: what is reserved and settled, and what people are told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sigil.errors import BudgetExceeded, PriceUnknown, StoreError
from sigil.messages.conversation import MOST_TOKENS, ToolDefinition, Usage
from sigil.money.budgets import Budgets
from sigil.money.price_book import PriceBook
from sigil.money.store import Limit
from sigil.money.worst_case import bound_input
from sigil.providers.base import ModelInfo
from sigil.providers.chain.meter import Hold
from tests.money.spending import (
    HELLO,
    INFO,
    INTO,
    TURN,
    NoStore,
    all_money,
    budgets,
    settings,
    usd,
)

# ---------------------------------------------------------------- reserving


async def test_the_worst_case_is_set_aside_and_replaced_by_the_cost(stores):
    meter = budgets(stores).open_meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    assert (hold.amount, hold.max_tokens) == (INTO + 10_000, 1000)
    assert await all_money(stores) == (0, INTO + 10_000)
    cost = await meter.settle(hold, "p/m", Usage(12, 30), said=100, complete=True)
    assert cost == 12 + 300
    assert await all_money(stores) == (312, 0)
    for scope, subject in (("session", "s"), ("user", "alice"), ("workspace", "lab")):
        windows = await stores.budgets.read_spending([Limit(scope, subject)])
        assert [(window.spent, window.reserved) for window in windows] == [(312, 0)] * 2


async def test_the_dearest_rate_that_can_apply_is_set_aside(stores):
    meter = budgets(stores).open_meter(**TURN)
    hold = await meter.reserve("p/cache", HELLO, INFO)
    assert hold.amount == 2 * INTO + 10_000
    usage = Usage(1000, 0, cached_tokens=500, cache_write_tokens=300)
    assert await meter.settle(hold, "p/cache", usage, said=0, complete=True) == 50 + 600 + 200


async def test_the_answer_is_shortened_to_what_can_be_paid(stores):
    room = INTO + 10 * 400
    meter = budgets(stores, budgets={"max_day_usd": usd(room)}).open_meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    assert (hold.amount, hold.max_tokens) == (room, 400)
    with pytest.raises(BudgetExceeded):
        await meter.reserve("p/m", HELLO, INFO)
    await meter.settle(hold, "p/m", Usage(10, 20), said=80, complete=True)
    assert (await meter.reserve("p/m", HELLO, INFO)).max_tokens == 400 - 21


@pytest.mark.parametrize(("max_tokens", "floor"), [(1000, 256), (100, 100)])
async def test_the_answer_is_not_shortened_below_use(stores, max_tokens, floor):
    request = replace(HELLO, max_tokens=max_tokens)
    enough = INTO + 10 * floor
    short = budgets(stores, budgets={"max_day_usd": usd(enough - 1)}).open_meter(**TURN)
    with pytest.raises(BudgetExceeded, match="budget for today is too small"):
        await short.reserve("p/m", request, INFO)
    assert await all_money(stores) == (0, 0)
    meter = budgets(stores, budgets={"max_day_usd": usd(enough)}).open_meter(**TURN)
    assert (await meter.reserve("p/m", request, INFO)).max_tokens == floor


@pytest.mark.parametrize(
    ("sections", "words", "window", "resets_in"),
    [
        (
            {"session": {"max_hour_usd": 1}},
            "This conversation's budget for this hour",
            "hour",
            1380,
        ),
        ({"user": {"max_day_usd": 1}}, "Your budget for today", "day", 1380),
        ({"workspace": {"max_hour_usd": 1}}, "This workspace's budget for this hour", "hour", 1380),
        ({"max_day_usd": 1}, "The overall budget for today", "day", 1380),
    ],
)
async def test_a_refusal_says_which_budget_and_when_it_resets(
    stores, sections, words, window, resets_in
):
    meter = budgets(stores, budgets=sections).open_meter(**TURN)
    when = "in 23 minutes" if window == "hour" else "at 00:00 UTC"
    for spent, state in ((999_000, "does not cover this message any more"), (1000, "is used up")):
        hold = await meter.reserve("p/m", replace(HELLO, max_tokens=1), INFO)
        await meter.settle(hold, "p/m", Usage(spent), said=0, complete=True)
        with pytest.raises(BudgetExceeded) as refused:
            await meter.reserve("p/m", HELLO, INFO)
        assert refused.value.message == f"{words} {state}; it resets {when}."
        assert (refused.value.window, refused.value.resets_in) == (window, resets_in)


async def test_what_is_only_reserved_may_be_free_again_before_the_reset(stores):
    meter = budgets(stores, budgets={"user": {"max_day_usd": usd(INTO + 10_000)}}).open_meter(
        **TURN
    )
    hold = await meter.reserve("p/m", HELLO, INFO)
    with pytest.raises(BudgetExceeded) as refused:
        await meter.reserve("p/m", HELLO, INFO)
    assert refused.value.message == (
        "Your budget for today is set aside for answers under way. "
        "Please try again soon; it resets at 00:00 UTC."
    )
    assert refused.value.resets_in == 1380
    await meter.settle(hold, "p/m", Usage(12, 30), said=100, complete=True)
    assert (await meter.reserve("p/m", HELLO, INFO)).max_tokens > 900


async def test_the_reset_that_is_told_is_that_of_the_window_that_lasts_longest(stores):
    limits = {"user": {"max_hour_usd": usd(50_000), "max_day_usd": usd(50_000)}}
    await stores.backend.redis.set(
        f"{stores.backend.keys.prefix}test-clock", 1_795_359_600
    )  # 15:00
    meter = budgets(stores, budgets=limits).open_meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    await meter.settle(hold, "p/m", Usage(50_000, 0), said=0, complete=True)
    with pytest.raises(BudgetExceeded, match="today is used up; it resets at 00:00 UTC"):
        await meter.reserve("p/m", HELLO, INFO)


async def test_what_can_never_fit_has_no_reset(stores):
    meter = budgets(stores, budgets={"user": {"max_hour_usd": 0}}).open_meter(**TURN)
    with pytest.raises(BudgetExceeded) as refused:
        await meter.reserve("p/m", HELLO, INFO)
    assert refused.value.message == "Your budget for this hour is too small for this message."
    assert refused.value.resets_in is None


async def test_what_is_free_asks_nobody():
    meter = budgets(type("S", (), {"budgets": NoStore()}), budgets={"max_day_usd": 0}).open_meter(
        **TURN
    )
    for model in ("echo/echo", "p/gratis"):
        hold = await meter.reserve(model, HELLO, INFO)
        assert hold == Hold("", 0, 1000)
        assert await meter.settle(hold, model, Usage(9, 9), said=9, complete=True) == 0


async def test_an_unknown_price_is_refused_only_where_dollars_are_limited():
    nobody = type("S", (), {"budgets": NoStore()})
    limited = {"user": {"max_hour_usd": 1}}
    meter = budgets(nobody, budgets=limited).open_meter(**TURN)
    with pytest.raises(PriceUnknown, match="p/unheard-of"):
        await meter.reserve("p/unheard-of", HELLO, INFO)
    others = {"bob": {"budget": {"max_day_usd": 5}}}
    for free in (
        budgets(nobody),
        budgets(nobody, users=others),
        budgets(nobody, budgets=limited | {"unknown_price": "allow"}),
    ):
        meter = free.open_meter(**TURN)
        hold = await meter.reserve("p/unheard-of", HELLO, INFO)
        assert hold == Hold("", 0, 1000)
        assert await meter.settle(hold, "p/unheard-of", None, said=9, complete=False) is None
        assert await meter.settle(hold, "p/unheard-of", Usage(), said=0, complete=False) == 0


# ---------------------------------------------------------------- settling


@pytest.mark.parametrize(
    ("usage", "said", "complete", "cost"),
    [
        (Usage(12, 30), 500, True, 312),
        (Usage(), 0, False, 0),
        (Usage(), 0, True, 0),
        # Nothing was counted: the input at its bound, the answer by its bytes.
        (None, 0, False, INTO),
        (None, 50, False, INTO + 500),
        (None, 50, True, INTO + 500),
        (None, 10**9, False, INTO + 10_000),
        # A count of nothing with an answer is none.
        (Usage(), 50, False, INTO + 500),
        # Nor is one of no input, or of no output with an answer.
        (Usage(12, 0), 50, True, 12 + 500),
        (Usage(0, 30), 50, True, INTO + 500),
        (Usage(0, 90), 50, True, INTO + 900),
        (Usage(12, 0), 0, True, 12),
        # Counted in part: what was counted, and what came beyond it.
        (Usage(12, 1), 50, False, 12 + 500),
        (Usage(12, 90), 50, False, 12 + 900),
        (Usage(0, 90), 50, False, INTO + 900),
        # More than was set aside only if the vendor says so.
        (Usage(50, 5000), 0, False, 50_050),
        (Usage(50, 5000), 0, True, 50_050),
        (Usage(20_000, 1), 900, False, 20_010),
        (Usage(5000, 1), 900, False, INTO + 10_000),
    ],
)
async def test_a_call_costs_what_was_counted_or_else_the_dearest(
    stores, usage, said, complete, cost
):
    meter = budgets(stores).open_meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    spent = await meter.settle(hold, "p/m", usage, said=said, complete=complete)
    assert spent == cost
    assert await all_money(stores) == (spent, 0)


@pytest.mark.parametrize(
    ("request_", "info"),
    [
        (HELLO, replace(INFO, thinking=True)),
        # Nobody knows this model.
        (replace(HELLO, max_tokens=1000), ModelInfo("m")),
        (replace(HELLO, tools=(ToolDefinition("t"),)), replace(INFO, tools=True)),
    ],
)
async def test_what_was_not_seen_of_a_broken_answer_is_paid_in_full(stores, request_, info):
    meter = budgets(stores).open_meter(**TURN)
    for usage, into in ((None, bound_input(request_, INFO)), (Usage(12, 1), 12)):
        hold = await meter.reserve("p/m", request_, info)
        cost = await meter.settle(hold, "p/m", usage, said=50, complete=False)
        assert cost == into + 10_000
    hold = await meter.reserve("p/m", request_, info)
    assert await meter.settle(hold, "p/m", Usage(12, 3), said=50, complete=True) == 42


async def test_a_mad_count_is_bounded(stores):
    meter = budgets(stores).open_meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    cost = await meter.settle(hold, "p/m", Usage(10**30, 10**30), said=0, complete=True)
    assert cost == 11 * MOST_TOKENS
    assert await all_money(stores) == (cost, 0)


# ---------------------------------------------------------------- what goes wrong


class SlowToAnswer:
    """Grants, but the answer never arrives."""

    def __init__(self, store, error: Exception | None = None) -> None:
        self._store = store
        self._error = error
        self.granted = asyncio.Event()

    async def reserve(self, *args, **options):
        await self._store.reserve(*args, **options)
        self.granted.set()
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()

    def __getattr__(self, name: str):
        return getattr(self._store, name)


async def test_a_turn_that_is_stopped_while_it_reserves_leaves_nothing_set_aside(stores):
    store = SlowToAnswer(stores.budgets)
    made = settings()
    meter = Budgets(store, PriceBook(made.providers), made).open_meter(**TURN)
    task = asyncio.create_task(meter.reserve("p/m", HELLO, INFO))
    await store.granted.wait()
    assert (await all_money(stores))[1] > 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await all_money(stores) == (0, 0)


async def test_a_reservation_whose_answer_is_lost_for_good_is_given_back(stores):
    store = SlowToAnswer(stores.budgets, StoreError("away"))
    made = settings()
    meter = Budgets(store, PriceBook(made.providers), made).open_meter(**TURN)
    with pytest.raises(StoreError, match="away"):
        await meter.reserve("p/m", HELLO, INFO)
    assert await all_money(stores) == (0, 0)


class AwayFor:
    """A store that does not answer so many times."""

    def __init__(self, store, times: int, error: StoreError) -> None:
        self._store, self._times, self._error = store, times, error

    async def settle(self, id: str, spent: int) -> None:
        self._times -= 1
        if self._times >= 0:
            raise self._error
        await self._store.settle(id, spent)

    def __getattr__(self, name: str):
        return getattr(self._store, name)


async def test_a_short_outage_does_not_make_a_call_count_at_its_worst(stores):
    made = settings()
    store = AwayFor(stores.budgets, 2, StoreError("away"))
    meter = Budgets(store, PriceBook(made.providers), made).open_meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    assert await meter.settle(hold, "p/m", Usage(12, 30), said=100, complete=True) == 312
    assert await all_money(stores) == (312, 0)


@pytest.mark.parametrize(("error", "within"), [("away", 0.0), ("refused", 3600.0)])
async def test_a_store_that_stays_away_or_refuses_is_an_error(stores, monkeypatch, error, within):
    monkeypatch.setattr("sigil.money.turn_meter._SETTLE_S", within)
    failure = StoreError(error)
    failure.transient = error == "away"
    made = settings()
    store = AwayFor(stores.budgets, 99, failure)
    meter = Budgets(store, PriceBook(made.providers), made).open_meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    with pytest.raises(StoreError, match=error):
        await meter.settle(hold, "p/m", Usage(12, 30), said=100, complete=True)
    assert await all_money(stores) == (0, hold.amount)

"""Limits in dollars: what a call may cost, what is reserved and settled, and who is told what."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigil.config import Settings
from sigil.conversation import Image, Message, Native, ToolCall, ToolDefinition, Usage
from sigil.errors import BudgetExceeded, ConfigError, PriceUnknown, StoreError
from sigil.money.budgets import (
    Budgets,
    Standing,
    check_prices,
    known_scopes,
    limit_of,
    limits_dollars,
)
from sigil.money.pricing import PriceBook
from sigil.money.store import Limit
from sigil.money.worst_case import IMAGE_TOKENS, MOST_TOKENS, counted, most_input, most_output
from sigil.providers.base import ChatRequest, ModelInfo
from sigil.providers.chain.meter import Hold
from sigil.testing import fake_stores
from tests.budget_clock import Clock, script_text

# One micro-dollar for a token in, ten for one out; twice that for a token written to the cache.
PRICES = {
    "m": {"price": {"input": 1, "output": 10}},
    "cache": {"price": {"input": 1, "output": 10, "cached_input": 0.1, "cache_write": 2}},
    "gratis": {"price": {"input": 0, "output": 0}},
}
TURN = {"session_key": "s", "user_id": "alice", "workspace_id": "lab"}
INFO = ModelInfo("m", max_output_tokens=1000)
HELLO = ChatRequest("m", [Message("user", "Hello")], max_tokens=1000)
INTO = most_input(HELLO)


def settings(**sections: object) -> Settings:
    given = {"providers": {"p": {"models": PRICES}}, "models": {"default": "p/m"}} | sections
    return Settings.model_validate(given)


def usd(micro: int) -> float:
    return micro / 1_000_000


@pytest.fixture
async def stores(monkeypatch):
    """Over fakeredis, at 23:37 UTC."""
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)
    made = fake_stores()
    await Clock(made, "2026-11-22T23:37:00").advance()
    yield made
    await made.backend.close()


def budgets(stores, **sections: object) -> Budgets:
    made = settings(**sections)
    return Budgets(stores.budgets, PriceBook(made.providers), made)


async def all_money(stores) -> tuple[int, int]:
    hour, day = await stores.budgets.spending([Limit("all")])
    assert (hour.spent, hour.reserved) == (day.spent, day.reserved)
    return hour.spent, hour.reserved


class NoStore:
    """A store that must not be asked."""

    def __getattr__(self, name: str):
        raise AssertionError(f"the store was asked: {name}")


# ---------------------------------------------------------------- what a call can cost


def changed(**fields: object) -> int:
    """By how much the bound of the input grows with these fields."""
    return most_input(replace(HELLO, **fields)) - INTO


def test_all_that_is_sent_counts_by_its_bytes():
    assert len("Hello") < INTO
    assert changed(system_prompt="ü" * 100) == 200
    assert changed(messages=[Message("user", "Hello" + "🙂" * 10)]) == 40
    assert changed(messages=[Message("user", "Hello" + "\udc80")]) == 3
    assert changed(messages=[*HELLO.messages, Message("assistant", "x" * 500)]) >= 500
    call = ToolCall("call-1", "search", {"query": "ä" * 50})
    assert changed(messages=[*HELLO.messages, Message("assistant", "", (call,))]) >= 300
    answer = Message("tool", "found", tool_call_id="i" * 80)
    assert changed(messages=[*HELLO.messages, answer]) >= 85


@given(
    st.text(
        st.sampled_from("\ufdfa\ufdfb\u3300\u33ff\u1f82\ufb2c\u0390\uff76\uff9e\u304c\uac01a\u00e9")
        | st.sampled_from("\u0300\u0301\u0323\u3099\u11a8\u0344")
        | st.characters()
    )
)
def test_a_text_counts_in_the_longest_form_that_a_tokenizer_may_give_it(text):
    """Claude's public tokenizer (@anthropic-ai/tokenizer) works on NFKC."""
    grown = changed(system_prompt=text)
    for form in (text, unicodedata.normalize("NFKC", text)):
        assert grown >= len(form.encode("utf-8", "surrogatepass"))


def test_one_sign_that_stands_for_a_sentence_counts_as_the_sentence():
    sentence = unicodedata.normalize("NFKC", "\ufdfa")
    assert len(sentence) == 18
    call = ToolCall("", "", {"q": "\ufdfa" * 100})
    for message in (Message("user", "\ufdfa" * 100), Message("assistant", "", (call,))):
        assert changed(messages=[message]) >= 100 * len(sentence.encode()) - len("Hello")


def test_results_of_tools_count_with_the_escapes_of_json():
    for content in ('"' * 100, "\x01" * 100, "\n" * 100, "\u00fc" * 100):
        message = Message("tool", content, tool_call_id="1")
        assert changed(messages=[*HELLO.messages, message]) >= len(json.dumps(content))


def test_definitions_of_tools_and_the_vendors_own_words_on_them_count():
    one = changed(tools=(ToolDefinition("t", "d" * 300, {"type": "object"}),))
    assert one >= 300 + 530
    two = changed(tools=(ToolDefinition("t"), ToolDefinition("u", "", {"x": "y" * 700})))
    assert two >= 700 + 530


def test_of_two_forms_of_an_answer_the_longer_counts():
    def grows(native: str) -> int:
        message = Message("user", "Hello", native=Native("anthropic", "m", native))
        return changed(messages=[message])

    assert grows("{}") == 0
    assert grows("x" * 105) == 100


def test_pictures_count_by_the_vendors_bound_however_they_are_sent():
    sent = Image("data:image/png;base64," + "A" * 1_000_000), Image("https://example.org/a.png")
    for image in sent:
        assert changed(messages=[Message("user", "Hello", images=(image,))]) == IMAGE_TOKENS
    two = [Message("user", "Hello", images=sent)]
    assert changed(messages=two) == 2 * IMAGE_TOKENS
    # 2,833 and 8 tiles of 5,667 (OpenAI)
    assert changed(messages=two, model="gpt-4o-mini-2024-07-18") == 2 * 48_169


def test_the_answer_is_bounded_by_the_request_and_the_model():
    assert most_output(replace(HELLO, max_tokens=9000), INFO) == 1000
    assert most_output(replace(HELLO, max_tokens=90), INFO) == 90


def test_a_vendors_counts_are_brought_within_reason():
    mad = Usage(10**18, -5, 10**19, 7, 10**19)
    assert counted(mad) == Usage(MOST_TOKENS, 0, MOST_TOKENS, 0, 0)
    assert counted(Usage(100, 50, 30, 60, 90)) == Usage(100, 50, 30, 50, 70)


# ---------------------------------------------------------------- reserving


async def test_the_worst_case_is_set_aside_and_replaced_by_the_cost(stores):
    meter = budgets(stores).meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    assert (hold.amount, hold.max_tokens) == (INTO + 10_000, 1000)
    assert await all_money(stores) == (0, INTO + 10_000)
    cost = await meter.settle(hold, "p/m", Usage(12, 30), said=100, complete=True)
    assert cost == 12 + 300
    assert await all_money(stores) == (312, 0)
    for scope, subject in (("session", "s"), ("user", "alice"), ("workspace", "lab")):
        windows = await stores.budgets.spending([Limit(scope, subject)])
        assert [(window.spent, window.reserved) for window in windows] == [(312, 0)] * 2


async def test_the_dearest_rate_that_can_apply_is_set_aside(stores):
    meter = budgets(stores).meter(**TURN)
    hold = await meter.reserve("p/cache", HELLO, INFO)
    assert hold.amount == 2 * INTO + 10_000
    usage = Usage(1000, 0, cached_tokens=500, cache_write_tokens=300)
    assert await meter.settle(hold, "p/cache", usage, said=0, complete=True) == 50 + 600 + 200


async def test_the_answer_is_shortened_to_what_can_be_paid(stores):
    room = INTO + 10 * 400
    meter = budgets(stores, budgets={"max_day_usd": usd(room)}).meter(**TURN)
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
    short = budgets(stores, budgets={"max_day_usd": usd(enough - 1)}).meter(**TURN)
    with pytest.raises(BudgetExceeded, match="budget for today is too small"):
        await short.reserve("p/m", request, INFO)
    assert await all_money(stores) == (0, 0)
    meter = budgets(stores, budgets={"max_day_usd": usd(enough)}).meter(**TURN)
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
    meter = budgets(stores, budgets=sections).meter(**TURN)
    when = "in 23 minutes" if window == "hour" else "at 00:00 UTC"
    for spent, state in ((999_000, "does not cover this message any more"), (1000, "is used up")):
        hold = await meter.reserve("p/m", replace(HELLO, max_tokens=1), INFO)
        await meter.settle(hold, "p/m", Usage(spent), said=0, complete=True)
        with pytest.raises(BudgetExceeded) as refused:
            await meter.reserve("p/m", HELLO, INFO)
        assert refused.value.message == f"{words} {state}; it resets {when}."
        assert (refused.value.window, refused.value.resets_in) == (window, resets_in)


async def test_what_is_only_reserved_may_be_free_again_before_the_reset(stores):
    meter = budgets(stores, budgets={"user": {"max_day_usd": usd(INTO + 10_000)}}).meter(**TURN)
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
    meter = budgets(stores, budgets=limits).meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    await meter.settle(hold, "p/m", Usage(50_000, 0), said=0, complete=True)
    with pytest.raises(BudgetExceeded, match="today is used up; it resets at 00:00 UTC"):
        await meter.reserve("p/m", HELLO, INFO)


async def test_what_can_never_fit_has_no_reset(stores):
    meter = budgets(stores, budgets={"user": {"max_hour_usd": 0}}).meter(**TURN)
    with pytest.raises(BudgetExceeded) as refused:
        await meter.reserve("p/m", HELLO, INFO)
    assert refused.value.message == "Your budget for this hour is too small for this message."
    assert refused.value.resets_in is None


async def test_what_is_free_asks_nobody():
    meter = budgets(type("S", (), {"budgets": NoStore()}), budgets={"max_day_usd": 0}).meter(**TURN)
    for model in ("echo/echo", "p/gratis"):
        hold = await meter.reserve(model, HELLO, INFO)
        assert hold == Hold("", 0, 1000)
        assert await meter.settle(hold, model, Usage(9, 9), said=9, complete=True) == 0


async def test_an_unknown_price_is_refused_only_where_dollars_are_limited():
    nobody = type("S", (), {"budgets": NoStore()})
    limited = {"user": {"max_hour_usd": 1}}
    meter = budgets(nobody, budgets=limited).meter(**TURN)
    with pytest.raises(PriceUnknown, match="p/unheard-of"):
        await meter.reserve("p/unheard-of", HELLO, INFO)
    others = {"bob": {"budget": {"max_day_usd": 5}}}
    for free in (
        budgets(nobody),
        budgets(nobody, users=others),
        budgets(nobody, budgets=limited | {"unknown_price": "allow"}),
    ):
        meter = free.meter(**TURN)
        hold = await meter.reserve("p/unheard-of", HELLO, INFO)
        assert hold == Hold("", 0, 1000)
        assert await meter.settle(hold, "p/unheard-of", None, said=9, complete=False) == 0


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
    meter = budgets(stores).meter(**TURN)
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
    meter = budgets(stores).meter(**TURN)
    for usage, into in ((None, most_input(request_)), (Usage(12, 1), 12)):
        hold = await meter.reserve("p/m", request_, info)
        cost = await meter.settle(hold, "p/m", usage, said=50, complete=False)
        assert cost == into + 10_000
    hold = await meter.reserve("p/m", request_, info)
    assert await meter.settle(hold, "p/m", Usage(12, 3), said=50, complete=True) == 42


async def test_a_mad_count_is_bounded(stores):
    meter = budgets(stores).meter(**TURN)
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
    meter = Budgets(store, PriceBook(made.providers), made).meter(**TURN)
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
    meter = Budgets(store, PriceBook(made.providers), made).meter(**TURN)
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
    meter = Budgets(store, PriceBook(made.providers), made).meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    assert await meter.settle(hold, "p/m", Usage(12, 30), said=100, complete=True) == 312
    assert await all_money(stores) == (312, 0)


@pytest.mark.parametrize(("error", "within"), [("away", 0.0), ("refused", 3600.0)])
async def test_a_store_that_stays_away_or_refuses_is_an_error(stores, monkeypatch, error, within):
    monkeypatch.setattr("sigil.money.budgets._SETTLE_S", within)
    failure = StoreError(error)
    failure.transient = error == "away"
    made = settings()
    store = AwayFor(stores.budgets, 99, failure)
    meter = Budgets(store, PriceBook(made.providers), made).meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    with pytest.raises(StoreError, match=error):
        await meter.settle(hold, "p/m", Usage(12, 30), said=100, complete=True)
    assert await all_money(stores) == (0, hold.amount)


async def test_a_hold_outlives_a_call_and_its_second_try(monkeypatch):
    kept = []

    class Store:
        async def reserve(self, id, limits, want, least, *, ttl):
            kept.append(ttl)
            return want

    made = settings(timeouts={"model_call": 100})
    meter = Budgets(Store(), PriceBook(made.providers), made).meter(**TURN)
    await meter.reserve("p/m", HELLO, INFO)
    assert kept[0] > 200


# ---------------------------------------------------------------- limits and who has them


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
    limits = Budgets(NoStore(), PriceBook(), made).limits
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
    first = made.meter(**TURN)
    await first.reserve("p/m", HELLO, INFO)
    with pytest.raises(BudgetExceeded):
        await made.meter(**TURN | {"session_key": "t"}).reserve("p/m", HELLO, INFO)
    await made.meter(**TURN | {"user_id": "bob"}).reserve("p/m", HELLO, INFO)


async def test_the_overview_shows_limits_spending_and_what_is_left(stores):
    made = budgets(stores, budgets={"max_day_usd": 1, "user": {"max_hour_usd": usd(11_000)}})
    meter = made.meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    rows = await made.overview(made.limits("s", "alice", "lab"))
    held = hold.amount
    assert rows[2] == Standing("user", "alice", "hour", 11_000, 0, held, 11_000 - held, 1380)
    assert rows[3] == Standing("user", "alice", "day", None, 0, held, None, 1380)
    await meter.settle(hold, "p/m", Usage(1_200_000), said=0, complete=True)
    (row,) = [row for row in await made.overview([Limit("all", "", 5, None)]) if row.limit]
    assert (row.spent, row.reserved, row.left) == (1_200_000, 0, 0)


async def test_scopes_are_those_configured_and_those_that_spent(stores):
    made = settings(users={"alice": {"role": "owner"}}, workspaces={"lab": {}, "home": {}})
    spender = Budgets(stores.budgets, PriceBook(made.providers), made)
    for user, workspace in (("bob", "personal:bob"), ("alice", "lab")):
        meter = spender.meter(session_key="s", user_id=user, workspace_id=workspace)
        await meter.reserve("p/m", HELLO, INFO)
    found = await known_scopes(stores.budgets, made)
    assert [(limit.scope, limit.subject) for limit in found] == [
        ("all", ""),
        ("workspace", "lab"),
        ("workspace", "home"),
        ("workspace", "personal:bob"),
        ("user", "alice"),
        ("user", "bob"),
    ]
    assert found == [limit_of(made, limit.scope, limit.subject) for limit in found]


# ---------------------------------------------------------------- prices that nobody knows


def test_every_configured_model_without_a_price_is_named():
    models = {"default": "p/one", "failover": ["p/m", "p/two", "echo/echo"]}
    workspaces = {"lab": {"model": "p/three"}, "home": {"model": "p/m"}}
    limited = {"budget": {"max_hour_usd": 1}}
    for section in (
        {"budgets": {"max_day_usd": 0}},
        {"budgets": {"session": {"max_day_usd": 1}}},
        {"users": {"alice": limited | {"role": "owner"}}},
    ):
        made = settings(models=models, workspaces=workspaces, **section)
        assert limits_dollars(made)
        with pytest.raises(ConfigError) as refused:
            check_prices(made, PriceBook(made.providers))
        text = str(refused.value)
        assert "models.default (p/one), models.failover (p/two)" in text
        assert "workspaces.lab.model (p/three)" in text
        assert "p/m" not in text
        assert "unknown_price: allow" in text


def test_without_a_limit_or_where_it_is_allowed_an_unknown_price_is_none_of_our_business():
    unknown = {"default": "p/one"}
    limited = {"max_day_usd": 1, "unknown_price": "allow"}
    for made in (settings(models=unknown), settings(models=unknown, budgets=limited)):
        check_prices(made, PriceBook(made.providers))
    assert not limits_dollars(settings(models=unknown))
    priced = settings(budgets={"max_day_usd": 1})
    check_prices(priced, PriceBook(priced.providers))

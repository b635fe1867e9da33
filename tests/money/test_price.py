"""What a call costs, what it can cost at worst, and what an amount pays for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal, localcontext

import genai_prices
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import StartDateConstraint
from hypothesis import given
from hypothesis import strategies as st

from sigil.config.schema import ModelOverride, PriceSettings, ProviderSettings
from sigil.messages.conversation import MOST_TOKENS, Usage
from sigil.money.price import Price, Rates
from sigil.money.price_book import PriceBook

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
VENDORS = ("anthropic", "openai", "google", "deepseek", "perplexity", "x-ai")
BOOK = PriceBook()


def names():
    """All models of the vendors above, and every fifth of OpenRouter's hundreds."""
    for vendor in get_snapshot().providers:
        if vendor.id in VENDORS:
            yield from (f"{vendor.id}/{model.id}" for model in vendor.models)
        elif vendor.id == "openrouter":
            yield from (f"{vendor.id}/{model.id}" for model in vendor.models[::5])


PRICES = {name: price for name in names() if (price := BOOK.find_price(name)) is not None}
TIERED = "openai/gpt-6-sol"

models = st.sampled_from(sorted(PRICES))
# Tokens around what calls have, and around the thresholds of long contexts.
tokens = st.one_of(
    st.integers(0, 2_000_000),
    st.sampled_from([0, 1, 128_000, 200_000, 200_001, 256_001, 272_000, 272_001, MOST_TOKENS]),
)
anything = st.integers(-(10**40), 10**40) | st.integers(-5, 1000) | tokens
# Around each date on which some price changes, and each hour.
moments = st.builds(
    lambda day, hour: datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour),
    st.sampled_from(
        sorted(
            {
                conditional.constraint.start_date
                for vendor in get_snapshot().providers
                if vendor.id in VENDORS
                for model in vendor.models
                if isinstance(model.prices, list)
                for conditional in model.prices
                if isinstance(conditional.constraint, StartDateConstraint)
            }
            | {date(2026, 11, 22)}
        )
    ),
    st.integers(-26, 26),
)


@st.composite
def usages(draw):
    total, out = draw(tokens), draw(tokens)
    cached = draw(st.integers(0, total))
    return Usage(
        total,
        out,
        cached_tokens=cached,
        cache_write_tokens=draw(st.integers(0, total - cached)),
        thinking_tokens=draw(st.integers(0, out)),
    )


hostile_usages = st.builds(Usage, anything, anything, anything, anything, anything)


def configured(**price: float) -> Price:
    own = ProviderSettings(models={"m": ModelOverride(price=PriceSettings(**price))})
    found = PriceBook({"own": own}).find_price("own/m")
    assert found is not None
    return found


def test_the_samples_hold_every_way_to_charge():
    assert len(PRICES) > 200
    tiered = PRICES[TIERED]
    assert tiered.compute_worst_cost(272_001, 0) > tiered.compute_worst_cost(272_000, 0) * 3 // 2
    assert PRICES["perplexity/sonar"].compute_worst_cost(0, 0) == 12_000
    day = [PRICES["deepseek/deepseek-flash"].find_rates(at=NOON.replace(hour=h)) for h in (2, 12)]
    assert day[0].input == day[1].input * 2


@given(models, usages(), moments)
def test_a_cost_is_the_librarys_rounded_up(name, usage, at):
    vendor, _, model = name.partition("/")
    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        output_reasoning_tokens=usage.thinking_tokens,
    )
    with localcontext(prec=200):
        theirs = genai_prices.calc_price(
            counted, model, provider_id=vendor, genai_request_timestamp=at
        )
        micro = theirs.total_price * 1_000_000
    expected = int(micro.to_integral_value(ROUND_CEILING))
    assert PRICES[name].compute_cost(usage, at=at) == (expected if usage.total_tokens else 0)


@given(models, usages() | hostile_usages, st.data(), moments, st.integers(0, 24 * 60))
def test_no_usage_within_the_bounds_costs_more_than_the_worst(name, usage, data, at, minutes):
    bounds = [usage.input_tokens, usage.output_tokens]
    if data.draw(st.booleans()):
        bounds = [bound + data.draw(tokens) for bound in bounds]
    cost = PRICES[name].compute_cost(usage, at=at + timedelta(minutes=minutes))
    assert 0 <= cost <= PRICES[name].compute_worst_cost(*bounds, at=at)


@given(models, tokens, tokens, tokens, tokens, moments)
def test_more_tokens_never_have_a_lower_worst(name, into, out, more_into, more_out, at):
    price = PRICES[name]
    least = price.compute_worst_cost(into, out, at=at)
    assert least <= price.compute_worst_cost(into + more_into, out, at=at)
    assert least <= price.compute_worst_cost(into, out + more_out, at=at)


@given(models, tokens, st.integers(-10, 10**9), moments)
def test_what_an_amount_pays_for_is_tight(name, into, amount, at):
    price = PRICES[name]
    out = price.compute_affordable_output(into, amount, at=at)
    if out:
        assert price.compute_worst_cost(into, out, at=at) <= amount
    if out < MOST_TOKENS:
        assert price.compute_worst_cost(into, out + 1, at=at) > amount


@given(models, usages())
def test_the_callers_precision_does_not_matter(name, usage):
    exact = PRICES[name].compute_cost(usage, at=NOON)
    with localcontext(prec=4):
        assert PRICES[name].compute_cost(usage, at=NOON) == exact


def test_a_long_context_is_dearer_in_whole_and_its_worst_knows_where_it_begins():
    price = PRICES[TIERED]
    short, long = (price.compute_cost(Usage(n, 1000), at=NOON) for n in (272_000, 272_001))
    assert short == 272_000 * 2 + 1000 * 10
    assert long == 272_001 * 4 + 1000 * 15
    assert price.compute_worst_cost(272_000, 1000, at=NOON) == 272_000 * 5 // 2 + 1000 * 10
    assert price.compute_worst_cost(272_001, 1000, at=NOON) == 272_001 * 5 + 1000 * 15


def test_caches_have_their_own_rates():
    price = PRICES["anthropic/claude-opus-5-5"]
    usage = Usage(1000, 0, cached_tokens=600, cache_write_tokens=300)
    assert price.compute_cost(usage, at=NOON) == 100 * 4 + 600 * 0.2 + 300 * 5
    assert price.compute_worst_cost(1000, 0, at=NOON) == 1000 * 5


def test_a_price_that_rises_tomorrow_is_the_worst_of_today():
    price = PRICES["google/gemini-4-argon"]
    for at, now, worst in (
        (datetime(2026, 11, 29, 12, tzinfo=UTC), 2, 2),
        (datetime(2026, 11, 30, 12, tzinfo=UTC), 2, 4),
        (datetime(2026, 12, 1, 0, tzinfo=UTC), 4, 4),
    ):
        assert price.compute_cost(Usage(100, 0), at=at) == 100 * now
        assert price.compute_worst_cost(100, 0, at=at) == 100 * worst


def test_thoughts_are_part_of_the_output():
    price = PRICES["openai/gpt-5.4"]
    spoken, thought = Usage(10, 500), Usage(10, 500, thinking_tokens=400)
    assert price.compute_cost(thought, at=NOON) == price.compute_cost(spoken, at=NOON)


def test_nothing_used_costs_nothing_even_where_a_call_has_its_price():
    price = PRICES["perplexity/sonar"]
    assert price.compute_cost(Usage()) == 0
    assert price.compute_cost(Usage(1, 0), at=NOON) == 12_001


def test_a_part_of_a_micro_dollar_is_a_whole_one():
    price = configured(input=0.1, output=0.000001)
    assert price.compute_cost(Usage(1, 0)) == 1
    assert price.compute_cost(Usage(10, 0)) == 1
    assert price.compute_cost(Usage(10, 1)) == 2
    assert price.compute_worst_cost(10, 0) == 1
    assert price.compute_affordable_output(10, 1) == 0
    assert price.compute_affordable_output(10, 2) == 1_000_000


@given(hostile_usages)
def test_what_is_configured_bounds_every_usage_too(usage):
    price = configured(input=0.07, output=1.1, cached_input=0.01, cache_write=0.3)
    cost = price.compute_cost(usage)
    assert 0 <= cost <= price.compute_worst_cost(usage.input_tokens, usage.output_tokens)


def test_a_configured_price_is_counted_as_it_is_written():
    price = configured(input=3, output=15, cached_input=0.3, cache_write=3.75)
    assert price.compute_cost(Usage(1000, 100, cached_tokens=500, cache_write_tokens=100)) == (
        400 * 3 + 500 * 0.3 + 100 * 3.75 + 100 * 15
    )
    assert price.find_rates() == Rates(Decimal("3.0"), Decimal(15), Decimal("0.3"), Decimal("3.75"))
    # What is not given is as the input.
    plain = configured(input=3, output=15)
    assert plain.compute_cost(Usage(1000, 0, cached_tokens=500, cache_write_tokens=100)) == 3000
    assert plain.find_rates().cached_input == plain.find_rates().cache_write == 3


def test_free_is_only_what_can_never_cost_anything():
    echo = BOOK.find_price("echo/echo")
    assert echo is not None
    assert echo.is_free
    assert echo.compute_cost(Usage(1000, 1000)) == echo.compute_worst_cost(1000, 1000) == 0
    assert echo.compute_affordable_output(1000, 0) == MOST_TOKENS
    assert configured(input=0, output=0).is_free
    assert not configured(input=0, output=0, cache_write=0.01).is_free
    assert not PRICES["perplexity/sonar"].is_free
    free_output = configured(input=1, output=0)
    assert free_output.compute_affordable_output(100, 100) == MOST_TOKENS
    assert free_output.compute_affordable_output(101, 100) == 0

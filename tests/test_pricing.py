"""What a call costs, what it can cost at worst, and what an amount pays for."""

import re
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal, localcontext

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import StartDateConstraint
from hypothesis import given
from hypothesis import strategies as st

from sigil.config.schema import ModelOverride, PriceSettings, ProviderSettings
from sigil.conversation import Usage
from sigil.money.pricing import MOST_TOKENS, Price, PriceBook, Rates, usd
from sigil.providers.openai.servers import COMPATIBLE

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


PRICES = {name: price for name in names() if (price := BOOK.price(name)) is not None}
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
    found = PriceBook({"own": own}).price("own/m")
    assert found is not None
    return found


def test_the_samples_hold_every_way_to_charge():
    assert len(PRICES) > 200
    tiered = PRICES[TIERED]
    assert tiered.worst(272_001, 0) > tiered.worst(272_000, 0) * 3 // 2
    assert PRICES["perplexity/sonar"].worst(0, 0) == 12_000
    day = [PRICES["deepseek/deepseek-flash"].rates(at=NOON.replace(hour=h)) for h in (2, 12)]
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
    assert PRICES[name].cost(usage, at=at) == (expected if usage.total_tokens else 0)


@given(models, usages() | hostile_usages, st.data(), moments, st.integers(0, 24 * 60))
def test_no_usage_within_the_bounds_costs_more_than_the_worst(name, usage, data, at, minutes):
    bounds = [usage.input_tokens, usage.output_tokens]
    if data.draw(st.booleans()):
        bounds = [bound + data.draw(tokens) for bound in bounds]
    cost = PRICES[name].cost(usage, at=at + timedelta(minutes=minutes))
    assert 0 <= cost <= PRICES[name].worst(*bounds, at=at)


@given(models, tokens, tokens, tokens, tokens, moments)
def test_more_tokens_never_have_a_lower_worst(name, into, out, more_into, more_out, at):
    price = PRICES[name]
    least = price.worst(into, out, at=at)
    assert least <= price.worst(into + more_into, out, at=at)
    assert least <= price.worst(into, out + more_out, at=at)


@given(models, tokens, st.integers(-10, 10**9), moments)
def test_what_an_amount_pays_for_is_tight(name, into, amount, at):
    price = PRICES[name]
    out = price.affordable(into, amount, at=at)
    if out:
        assert price.worst(into, out, at=at) <= amount
    if out < MOST_TOKENS:
        assert price.worst(into, out + 1, at=at) > amount


@given(models, usages())
def test_the_callers_precision_does_not_matter(name, usage):
    exact = PRICES[name].cost(usage, at=NOON)
    with localcontext(prec=4):
        assert PRICES[name].cost(usage, at=NOON) == exact


def test_a_long_context_is_dearer_in_whole_and_its_worst_knows_where_it_begins():
    price = PRICES[TIERED]
    short, long = (price.cost(Usage(n, 1000), at=NOON) for n in (272_000, 272_001))
    assert short == 272_000 * 2 + 1000 * 10
    assert long == 272_001 * 4 + 1000 * 15
    assert price.worst(272_000, 1000, at=NOON) == 272_000 * 5 // 2 + 1000 * 10
    assert price.worst(272_001, 1000, at=NOON) == 272_001 * 5 + 1000 * 15


def test_caches_have_their_own_rates():
    price = PRICES["anthropic/claude-opus-5-5"]
    usage = Usage(1000, 0, cached_tokens=600, cache_write_tokens=300)
    assert price.cost(usage, at=NOON) == 100 * 4 + 600 * 0.2 + 300 * 5
    assert price.worst(1000, 0, at=NOON) == 1000 * 5


def test_a_price_that_rises_tomorrow_is_the_worst_of_today():
    price = PRICES["google/gemini-4-argon"]
    for at, now, worst in (
        (datetime(2026, 11, 29, 12, tzinfo=UTC), 2, 2),
        (datetime(2026, 11, 30, 12, tzinfo=UTC), 2, 4),
        (datetime(2026, 12, 1, 0, tzinfo=UTC), 4, 4),
    ):
        assert price.cost(Usage(100, 0), at=at) == 100 * now
        assert price.worst(100, 0, at=at) == 100 * worst


def test_thoughts_are_part_of_the_output():
    price = PRICES["openai/gpt-5.4"]
    spoken, thought = Usage(10, 500), Usage(10, 500, thinking_tokens=400)
    assert price.cost(thought, at=NOON) == price.cost(spoken, at=NOON)


def test_nothing_used_costs_nothing_even_where_a_call_has_its_price():
    price = PRICES["perplexity/sonar"]
    assert price.cost(Usage()) == 0
    assert price.cost(Usage(1, 0), at=NOON) == 12_001


def test_a_part_of_a_micro_dollar_is_a_whole_one():
    price = configured(input=0.1, output=0.000001)
    assert price.cost(Usage(1, 0)) == 1
    assert price.cost(Usage(10, 0)) == 1
    assert price.cost(Usage(10, 1)) == 2
    assert price.worst(10, 0) == 1
    assert price.affordable(10, 1) == 0
    assert price.affordable(10, 2) == 1_000_000


@given(hostile_usages)
def test_what_is_configured_bounds_every_usage_too(usage):
    price = configured(input=0.07, output=1.1, cached_input=0.01, cache_write=0.3)
    cost = price.cost(usage)
    assert 0 <= cost <= price.worst(usage.input_tokens, usage.output_tokens)


def test_a_configured_price_is_counted_as_it_is_written():
    price = configured(input=3, output=15, cached_input=0.3, cache_write=3.75)
    assert price.cost(Usage(1000, 100, cached_tokens=500, cache_write_tokens=100)) == (
        400 * 3 + 500 * 0.3 + 100 * 3.75 + 100 * 15
    )
    assert price.rates() == Rates(Decimal("3.0"), Decimal(15), Decimal("0.3"), Decimal("3.75"))
    # What is not given is as the input.
    plain = configured(input=3, output=15)
    assert plain.cost(Usage(1000, 0, cached_tokens=500, cache_write_tokens=100)) == 3000
    assert plain.rates().cached_input == plain.rates().cache_write == 3


def test_free_is_only_what_can_never_cost_anything():
    echo = BOOK.price("echo/echo")
    assert echo is not None
    assert echo.free
    assert echo.cost(Usage(1000, 1000)) == echo.worst(1000, 1000) == 0
    assert echo.affordable(1000, 0) == MOST_TOKENS
    assert configured(input=0, output=0).free
    assert not configured(input=0, output=0, cache_write=0.01).free
    assert not PRICES["perplexity/sonar"].free
    free_output = configured(input=1, output=0)
    assert free_output.affordable(100, 100) == MOST_TOKENS
    assert free_output.affordable(101, 100) == 0


def provider(models=None, **values) -> ProviderSettings:
    priced = {name: ModelOverride(price=price) for name, price in (models or {}).items()}
    return ProviderSettings(models=priced, **values)


ONE, TWO = PriceSettings(input=1, output=1), PriceSettings(input=2, output=2)


def input_rate(model, **providers):
    price = PriceBook(providers).price(model)
    return None if price is None else price.rates(at=NOON).input


def test_what_is_configured_wins_by_exact_name_then_for_all():
    anthropic = provider({"claude-opus-5-5": ONE, "*": TWO})
    assert input_rate("anthropic/claude-opus-5-5", anthropic=anthropic) == 1
    assert input_rate("anthropic/claude-sonnet-5-5", anthropic=anthropic) == 2
    assert input_rate("anthropic/Claude-Opus-5-5", anthropic=anthropic) == 2
    assert input_rate("anthropic/claude-opus-5-5") == 4
    # An entry without a price leaves it to the one for all.
    bare = ProviderSettings(models={"m": ModelOverride(tools=True), "*": ModelOverride(price=TWO)})
    assert input_rate("own/m", own=bare) == 2
    assert input_rate("echo/echo", echo=provider({"*": ONE})) == 1


@pytest.mark.parametrize(
    ("model", "settings", "rate"),
    [
        # By the type, by the name, and by the name of a fake.
        ("work/claude-opus-5-5", {"type": "anthropic"}, 4),
        ("anthropic/claude-opus-5-5", {}, 4),
        ("anthropic/claude-opus-5-5", {"type": "tests.fakes:Fake"}, 4),
        ("anthropic/claude-opus-5-5", None, 4),
        ("gemini/gemini-4-argon", None, 2),
        ("google/models/gemini-4-argon", None, 2),
        # Who speaks OpenAI's API is whom the option, else the name, says.
        ("work/gpt-6-sol", {"type": "openai"}, 2),
        ("groq/openai/gpt-oss-20b", {"type": "openai"}, Decimal("0.075")),
        ("fast/openai/gpt-oss-20b", {"type": "groq"}, Decimal("0.075")),
        (
            "fast/openai/gpt-oss-20b",
            {"type": "openai", "options": {"server": "groq"}},
            Decimal("0.075"),
        ),
        ("openai/gpt-oss-20b", {"options": {"server": "ollama"}}, None),
        # By a known address, whatever the name.
        ("openai/mistral-large-latest", {"base_url": "https://api.mistral.ai/v1"}, 2),
        (
            "mine/anthropic/claude-opus-5.5",
            {"type": "openai", "base_url": "https://openrouter.ai/api/v1"},
            4,
        ),
        # A proxy before a vendor whose API has no imitators to speak of.
        ("anthropic/claude-opus-5-5", {"base_url": "http://10.0.0.1/"}, 4),
        ("openai/gpt-5", {"base_url": "http://10.0.0.1/v1"}, 1.25),
        # Somebody's own server, whatever it runs.
        ("vllm/gpt-6-sol", {"type": "openai", "base_url": "http://127.0.0.1:8000/v1"}, None),
        ("mistral/mistral-large-latest", {"type": "openai", "base_url": "http://gpu:1/v1"}, None),
        ("mistral/mistral-large-latest", {"base_url": "http://gpu:1/v1"}, None),
        ("vllm/gpt-oss-120b", {"type": "openai"}, None),
        ("mine/claude-opus-5-5", {"type": "anthropic", "base_url": "http://10.0.0.1/"}, None),
        # Nobody knows.
        ("ollama/llama3.3", None, None),
        ("anthropic/claude-nonsense", None, None),
        # Paid by the second; for its input only.
        ("openai/whisper-1", None, None),
        ("openai/text-embedding-3-small", None, None),
    ],
)
def test_the_vendor_is_who_is_called(model, settings, rate):
    name = model.partition("/")[0]
    known = {} if settings is None else {name: ProviderSettings.model_validate(settings)}
    assert input_rate(model, **known) == rate


@pytest.mark.parametrize("name", COMPATIBLE)
def test_a_compatible_server_has_the_prices_of_its_address(name):
    """By its address, by its name, by its type and by the option they are the same."""
    ways = (
        (name, {"type": "openai", "base_url": COMPATIBLE[name].base_url}),
        (name, {}),
        (name, {"type": "openai"}),
        ("mine", {"type": name}),
        ("mine", {"type": "openai", "options": {"server": name}}),
    )
    lists = get_snapshot().providers
    vendor = next((v for v in lists if re.match(v.api_pattern, COMPATIBLE[name].base_url)), None)
    # Of a server that is not listed even OpenAI's own open model has no price.
    models = ["gpt-oss-120b"]
    for model in vendor.models[:20] if vendor else ():
        models += [model.id, f"accounts/{name}/models/{model.id}"]
    prices = []
    for own, values in ways:
        book = PriceBook({own: ProviderSettings.model_validate(values)})
        prices.append([book.price(f"{own}/{model}") for model in models])
    assert all(each == prices[0] for each in prices)
    assert any(prices[0]) == (vendor is not None)


@pytest.mark.parametrize("name", ["", "/", "openai", "openai/", "/gpt-5", "openai/" + "x" * 10**6])
def test_a_name_that_is_none_has_no_price(name):
    assert BOOK.price(name) is None


def test_a_price_is_looked_up_once():
    book = PriceBook()
    assert book.price("anthropic/claude-opus-5-5") is book.price("anthropic/claude-opus-5-5")


def test_the_library_is_imported_when_it_is_needed_and_fetches_nothing():
    code = (
        "import sys, threading\n"
        "from sigil.money.pricing import PriceBook\n"
        "assert 'genai_prices' not in sys.modules\n"
        "PriceBook().load()\n"
        "assert 'genai_prices.data' in sys.modules\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not get_snapshot().from_auto_update
    assert not any("price" in thread.name.lower() for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "$0.00"),
        (1, "<$0.0001"),
        (99, "<$0.0001"),
        (100, "$0.0001"),
        (12_300, "$0.0123"),
        (12_349, "$0.0123"),
        (500_000, "$0.50"),
        (999_999, "$1.00"),
        (12_340_000, "$12.34"),
        (12_345_000, "$12.35"),
        (1_234_567_890_000, "$1,234,567.89"),
        (-12_300, "-$0.0123"),
        (-1, "-<$0.0001"),
    ],
)
def test_amounts_are_written_for_people(micro, text):
    assert usd(micro) == text

"""Whose price a model has: what is configured, or the list of the vendor that is called."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices.data_snapshot import get_snapshot

from sigil.config.schema import ModelOverride, PriceSettings, ProviderSettings
from sigil.money.price_book import PriceBook
from sigil.providers.openai.servers import COMPATIBLE

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOOK = PriceBook()


def provider(models=None, **values) -> ProviderSettings:
    priced = {name: ModelOverride(price=price) for name, price in (models or {}).items()}
    return ProviderSettings(models=priced, **values)


ONE, TWO = PriceSettings(input=1, output=1), PriceSettings(input=2, output=2)


def input_rate(model, **providers):
    price = PriceBook(providers).find_price(model)
    return None if price is None else price.find_rates(at=NOON).input


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
        prices.append([book.find_price(f"{own}/{model}") for model in models])
    assert all(each == prices[0] for each in prices)
    assert any(prices[0]) == (vendor is not None)


@pytest.mark.parametrize("name", ["", "/", "openai", "openai/", "/gpt-5", "openai/" + "x" * 10**6])
def test_a_name_that_is_none_has_no_price(name):
    assert BOOK.find_price(name) is None


def test_a_price_is_looked_up_once():
    book = PriceBook()
    assert book.find_price("anthropic/claude-opus-5-5") is book.find_price(
        "anthropic/claude-opus-5-5"
    )


def test_the_library_is_imported_when_it_is_needed_and_fetches_nothing():
    code = (
        "import sys, threading\n"
        "from sigil.money.price_book import PriceBook\n"
        "assert 'genai_prices' not in sys.modules\n"
        "PriceBook().load()\n"
        "assert 'genai_prices.data' in sys.modules\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not get_snapshot().from_auto_update
    assert not any("price" in thread.name.lower() for thread in threading.enumerate())

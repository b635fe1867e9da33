"""What the tests of money share: prices, a request, and a look at what was spent."""

from __future__ import annotations

from sigil.config import Settings
from sigil.messages.conversation import Message
from sigil.money.budgets import Budgets
from sigil.money.price_book import PriceBook
from sigil.money.store import Limit
from sigil.money.worst_case import bound_input
from sigil.providers.base import ChatRequest, ModelInfo

# One micro-dollar for a token in, ten for one out; twice that for a token written to the cache.
PRICES = {
    "m": {"price": {"input": 1, "output": 10}},
    "cache": {"price": {"input": 1, "output": 10, "cached_input": 0.1, "cache_write": 2}},
    "gratis": {"price": {"input": 0, "output": 0}},
}
TURN = {"session_key": "s", "user_id": "alice", "workspace_id": "lab"}
INFO = ModelInfo("m", max_output_tokens=1000)
HELLO = ChatRequest("m", [Message("user", "Hello")], max_tokens=1000)
INTO = bound_input(HELLO, INFO)


def settings(**sections: object) -> Settings:
    given = {"providers": {"p": {"models": PRICES}}, "models": {"default": "p/m"}} | sections
    return Settings.model_validate(given)


def usd(micro: int) -> float:
    return micro / 1_000_000


def budgets(stores, **sections: object) -> Budgets:
    made = settings(**sections)
    return Budgets(stores.budgets, PriceBook(made.providers), made)


async def all_money(stores) -> tuple[int, int]:
    hour, day = await stores.budgets.read_spending([Limit("all")])
    assert (hour.spent, hour.reserved) == (day.spent, day.reserved)
    return hour.spent, hour.reserved


class NoStore:
    """A store that must not be asked."""

    def __getattr__(self, name: str):
        raise AssertionError(f"the store was asked: {name}")

"""Whose limits there are, and models whose price nobody knows."""

from __future__ import annotations

import pytest

from sigil.errors import ConfigError
from sigil.money.budgets import Budgets
from sigil.money.limits import check_prices, find_limit, has_dollar_limits, list_limits
from sigil.money.price_book import PriceBook
from tests.money.spending import HELLO, INFO, settings


async def test_scopes_are_those_configured_and_those_that_spent(stores):
    made = settings(users={"alice": {"role": "owner"}}, workspaces={"lab": {}, "home": {}})
    spender = Budgets(stores.budgets, PriceBook(made.providers), made)
    for user, workspace in (("bob", "personal:bob"), ("alice", "lab")):
        meter = spender.open_meter(session_key="s", user_id=user, workspace_id=workspace)
        await meter.reserve("p/m", HELLO, INFO)
    found = await list_limits(stores.budgets, made)
    assert [(limit.scope, limit.subject) for limit in found] == [
        ("all", ""),
        ("workspace", "lab"),
        ("workspace", "home"),
        ("workspace", "personal:bob"),
        ("user", "alice"),
        ("user", "bob"),
    ]
    assert found == [find_limit(made, limit.scope, limit.subject) for limit in found]


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
        assert has_dollar_limits(made)
        with pytest.raises(ConfigError) as refused:
            check_prices(made, PriceBook(made.providers))
        text = str(refused.value)
        assert "models.default (p/one), models.failover[1] (p/two)" in text
        assert "workspaces.lab.model (p/three)" in text
        assert "p/m" not in text
        assert "unknown_price: allow" in text


def test_without_a_limit_or_where_it_is_allowed_an_unknown_price_is_none_of_our_business():
    unknown = {"default": "p/one"}
    limited = {"max_day_usd": 1, "unknown_price": "allow"}
    for made in (settings(models=unknown), settings(models=unknown, budgets=limited)):
        check_prices(made, PriceBook(made.providers))
    assert not has_dollar_limits(settings(models=unknown))
    priced = settings(budgets={"max_day_usd": 1})
    check_prices(priced, PriceBook(priced.providers))

"""Which limits in dollars the configuration sets, and for whom.

A limit is looked up window by window: a user's or workspace's own entry comes first, then the
general one for all users or workspaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sigil.config.checks import list_model_names
from sigil.config.paths import format_path
from sigil.errors import ConfigError
from sigil.money.amounts import to_micro_usd
from sigil.money.store import Limit

if TYPE_CHECKING:
    from sigil.config import Settings
    from sigil.config.schema import DollarLimits
    from sigil.money.price_book import PriceBook
    from sigil.money.store import BudgetStore


def find_limit(settings: Settings, scope: str, subject: str = "") -> Limit:
    """The limits of one scope."""
    budgets = settings.budgets
    sources: list[DollarLimits] = []
    if scope == "all":
        subject, sources = "", [budgets]
    elif scope == "session":
        sources = [budgets.session]
    elif scope == "user":
        user = settings.users.get(subject)
        sources = [*([user.budget] if user else []), budgets.user]
    else:
        workspace = settings.workspaces.get(subject)
        sources = [*([workspace.budget] if workspace else []), budgets.workspace]
    # The first source that says something about a window decides it.
    hour = next((s.max_hour_usd for s in sources if s.max_hour_usd is not None), None)
    day = next((s.max_day_usd for s in sources if s.max_day_usd is not None), None)
    return Limit(
        scope,
        subject,
        None if hour is None else to_micro_usd(hour),
        None if day is None else to_micro_usd(day),
    )


async def list_limits(store: BudgetStore, settings: Settings) -> list[Limit]:
    """All together first, then every workspace and user that is configured or has spent something
    today. Sessions are left out."""
    limits = [find_limit(settings, "all")]
    for scope, configured in (("workspace", settings.workspaces), ("user", settings.users)):
        subjects = dict.fromkeys((*configured, *await store.list_subjects(scope)))
        limits += [find_limit(settings, scope, subject) for subject in subjects]
    return limits


def has_dollar_limits(settings: Settings) -> bool:
    """Whether any limit in dollars is configured."""
    budgets = settings.budgets
    sections = [budgets, budgets.session, budgets.user, budgets.workspace]
    sections += [user.budget for user in settings.users.values()]
    sections += [workspace.budget for workspace in settings.workspaces.values()]
    return any(
        section.max_hour_usd is not None or section.max_day_usd is not None for section in sections
    )


def check_prices(settings: Settings, prices: PriceBook) -> None:
    """Checks that every configured model has a price if dollars are limited anywhere.

    Raises `ConfigError` naming the models without one, unless unknown prices are allowed.
    """
    if settings.budgets.unknown_price == "allow" or not has_dollar_limits(settings):
        return
    unpriced = [
        f"{path} ({model})"
        for path, model in list_models(settings)
        if prices.find_price(model) is None
    ]
    if unpriced:
        raise ConfigError(
            f"{', '.join(unpriced)}: the price is unknown, and a budget in dollars is set.",
            hint="Set providers.<name>.models.<model>.price, or budgets.unknown_price: allow.",
        )


def list_models(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every configured model, with the path of the setting that names it."""
    return ((format_path(path), name) for path, name in list_model_names(settings))

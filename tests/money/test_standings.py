"""How scopes stand against their limits."""

from __future__ import annotations

from sigil.messages.conversation import Usage
from sigil.money.standings import Standing
from sigil.money.store import Limit
from tests.money.spending import HELLO, INFO, TURN, budgets, usd


async def test_the_overview_shows_limits_spending_and_what_is_left(stores):
    made = budgets(stores, budgets={"max_day_usd": 1, "user": {"max_hour_usd": usd(11_000)}})
    meter = made.open_meter(**TURN)
    hold = await meter.reserve("p/m", HELLO, INFO)
    rows = await made.read_standings(made.find_limits("s", "alice", "lab"))
    held = hold.amount
    assert rows[2] == Standing("user", "alice", "hour", 11_000, 0, held, 11_000 - held, 1380)
    assert rows[3] == Standing("user", "alice", "day", None, 0, held, None, 1380)
    await meter.settle(hold, "p/m", Usage(1_200_000), said=0, complete=True)
    (row,) = [row for row in await made.read_standings([Limit("all", "", 5, None)]) if row.limit]
    assert (row.spent, row.reserved, row.left) == (1_200_000, 0, 0)

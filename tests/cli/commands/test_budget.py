"""`sigil budget`."""

import asyncio
import json
import os

import pytest

from sigil.money.store import Limit
from sigil.stores import connect
from tests.budget_clock import Clock, script_text

pytestmark = pytest.mark.valkey

CONFIG = """
budgets: {max_day_usd: 5, user: {max_hour_usd: 0.5}}
users: {alice: {role: owner}}
workspaces: {lab: {members: [alice], budget: {max_day_usd: 2}}}
"""


@pytest.fixture
def spent(real_redis, valkey_url, monkeypatch, tmp_path):
    """At 23:37 UTC alice holds 30 cents in the lab and bob has spent 1.25 dollars on his own."""
    monkeypatch.setattr("sigil.stores.redis.client.script_text", script_text)
    (tmp_path / "sigil.yaml").write_text(CONFIG)

    async def spend() -> None:
        stores = connect(valkey_url, prefix=os.environ["SIGIL_REDIS__PREFIX"])
        await Clock(stores, "2026-11-22T23:37:00").advance()
        for user, workspace, amount in (("alice", "lab", 300_000), ("bob", "personal:bob", 5)):
            limits = [Limit("session", f"{user}'s"), Limit("user", user)]
            limits += [Limit("workspace", workspace), Limit("all")]
            await stores.budgets.reserve(user, limits, amount, amount, ttl=600)
        await stores.budgets.settle("bob", 1_250_000)
        await stores.backend.close()

    asyncio.run(spend())


def shown(out: str) -> list[list[str]]:
    """The rows without their last column."""
    return [line.split("\t")[:-1] for line in out.splitlines()[1:]]


def test_all_workspaces_and_users_are_shown_with_what_is_left(call, spent):
    code, out, err = call("budget")
    assert (code, err) == (0, "")
    columns = "scope name window limit spent reserved left resets"
    assert out.splitlines()[0].split("\t") == columns.split()
    assert shown(out) == [
        ["all", "-", "hour", "-", "$1.25", "$0.30", "-"],
        ["all", "-", "day", "$5.00", "$1.25", "$0.30", "$3.45"],
        ["workspace", "lab", "hour", "-", "$0.00", "$0.30", "-"],
        ["workspace", "lab", "day", "$2.00", "$0.00", "$0.30", "$1.70"],
        ["workspace", "personal:bob", "hour", "-", "$1.25", "$0.00", "-"],
        ["workspace", "personal:bob", "day", "-", "$1.25", "$0.00", "-"],
        ["user", "alice", "hour", "$0.50", "$0.00", "$0.30", "$0.20"],
        ["user", "alice", "day", "-", "$0.00", "$0.30", "-"],
        ["user", "bob", "hour", "$0.50", "$1.25", "$0.00", "$0.00"],
        ["user", "bob", "day", "-", "$1.25", "$0.00", "-"],
    ]
    resets = [line.split("\t")[-1] for line in out.splitlines()[1:]]
    assert resets == ["in 23 minutes", "at 00:00 UTC"] * 5


def test_one_scope_can_be_asked_for(call, spent):
    _, out, _ = call("budget", "--session", "bob's")
    assert shown(out)[1] == ["session", "bob's", "day", "-", "$1.25", "$0.00", "-"]
    _, out, _ = call("budget", "--workspace", "personal:bob", "--user", "bob")
    assert [row[:2] for row in shown(out)[::2]] == [["workspace", "personal:bob"], ["user", "bob"]]


def test_programs_are_told_in_dollars_and_seconds(call, spent):
    code, out, _ = call("budget", "--user", "alice", "--json")
    hour, day = json.loads(out)["budgets"]
    assert code == 0
    assert hour == {
        "scope": "user",
        "subject": "alice",
        "window": "hour",
        "limit_usd": 0.5,
        "spent_usd": 0.0,
        "reserved_usd": 0.3,
        "left_usd": 0.2,
        "resets_in": 1380.0,
    }
    assert (day["window"], day["limit_usd"], day["left_usd"]) == ("day", None, None)


def test_a_name_that_is_unknown_is_not_shown_as_one_that_spent_nothing(call, spent):
    for option, name, known in (("--user", "alcie", "alice"), ("--workspace", "lba", "lab")):
        code, out, err = call("budget", option, name)
        assert (code, out) == (1, "")
        assert f"there is no {option[2:]} '{name}'" in err
        assert known in err

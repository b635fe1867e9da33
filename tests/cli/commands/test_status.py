"""`sigil status`: days, processes, and what it says if the store is away."""

import json
from dataclasses import replace

from sigil.cli.commands.status import add_open
from sigil.errors import StoreReadOnly
from sigil.lanes.fleet import ProcessRecord


def test_status_shows_the_days_newest_first(call, fake_redis):
    code, out, _ = call("status")
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert rows[:3] == [
        [
            "day",
            "accepted",
            "answered",
            "failed",
            "refused",
            "stopped",
            "dead",
            "open",
            "duplicate",
        ],
        ["2026-11-22", "10", "4", "1", "2", "1", "0", "2", "1"],
        ["2026-11-21", "1", "1", "0", "0", "0", "0", "0", "0"],
    ]


def test_status_verify_fails_if_it_does_not_balance(call, fake_redis):
    code, out, _ = call("status", "--verify")
    assert code == 0
    assert "it balances" in out
    fake_redis.lanes.balanced = False
    code, out, _ = call("status", "--verify")
    assert code == 1
    assert "one is lost" in out
    assert "--deep" in out
    code, out, _ = call("status", "--verify", "--json")
    assert code == 1
    assert json.loads(out)["verify"]["balanced"] is False
    assert json.loads(out)["days"]["2026-11-22"]["open"] == 2


def test_status_shows_the_processes_that_live_and_those_that_are_silent(call, fake_redis):
    assert "No process is running." in call("status")[1]
    agent = ProcessRecord(
        *("a", ("agent",), "0.1", "c0ffee", "web-3", 4711), slots=200, slots_in_use=7, uptime=300
    )
    gateway = ProcessRecord("g", ("gateway",), "0.1", "c0ffee", "web-1", 1, uptime=3)
    fake_redis.fleet.known = [agent, replace(agent, id="b", pid=4712, silence=35.0), gateway]
    lines = call("status")[1].splitlines()[-4:]
    assert [line.split("\t") for line in lines] == [
        ["role", "process", "version", "configuration", "slots", "in use", "running for"],
        ["agent", "web-3:4711", "0.1", "c0ffee", "200", "7", "5 min"],
        ["gateway", "web-1:1", "0.1", "c0ffee", "-", "-", "3 s"],
        ["agent worker web-3:4712 has been silent for 35 s: it hangs or was killed."],
    ]
    fake_redis.fleet.known = [replace(agent, left_lanes=1)]
    [left] = call("status")[1].splitlines()[-1:]
    assert left.startswith("agent worker web-3:4711 leaves 1 lane to a newer process: ")
    fake_redis.fleet.known = [agent, replace(agent, id="b", pid=4712, silence=35.0), gateway]
    processes = json.loads(call("status", "--json")[1])["processes"]
    assert [(each["id"], each["live"]) for each in processes] == [
        ("a", True),
        ("b", False),
        ("g", True),
    ]
    assert processes[0]["roles"] == ["agent"]


def test_status_says_how_many_conversations_wait_for_a_model(call, fake_redis):
    assert "for a model" not in call("status")[1]
    fake_redis.lanes.waits = [24.2, 180.0]
    assert "2 conversations wait for a model; the first goes on in 25 s." in call("status")[1]
    waiting = json.loads(call("status", "--json")[1])["waiting"]
    assert waiting == {"conversations": 2, "first_in": 24.2}


def test_status_says_why_new_messages_are_refused(call, fake_redis):
    store = json.loads(call("status", "--json")[1])["store"]
    assert store == {"memory": 100, "maxmemory": 1000, "problem": None}
    assert "refused:" not in call("status")[1]
    fake_redis.backend.refusal = StoreReadOnly("this Redis is a replica.")
    assert "New messages are refused: this Redis is a replica." in call("status")[1]
    assert json.loads(call("status", "--json")[1])["store"]["problem"] == "this Redis is a replica."


def test_status_deep_verifies_and_walks_the_records(call, fake_redis):
    code, out, _ = call("status", "--deep", "--json")
    assert code == 0
    assert json.loads(out)["verify"]["lost"] == []
    fake_redis.lanes.balanced = False
    code, out, _ = call("status", "--deep")
    assert code == 1
    assert "--deep" not in out


def test_open_is_what_has_not_ended():
    assert add_open({})["open"] == 0
    assert add_open({"accepted": 3, "answered": 1, "dead": 1})["open"] == 1


def test_without_redis_the_next_step_is_said(call, monkeypatch):
    code, _, err = call("status")
    assert code == 1
    assert "`sigil up`" in err
    monkeypatch.setenv("SIGIL_REDIS__URL", "redis://:hide-me@127.0.0.1:1/0")
    code, _, err = call("status")
    assert code == 1
    assert "sigil doctor" in err
    assert "hide-me" not in err

"""`sigil turns`."""

import json
from dataclasses import replace

import pytest

from sigil.cli.commands import turns
from sigil.errors import ErrorKind, ProviderError
from sigil.messages.conversation import Usage
from sigil.providers.chain.record import AttemptRecord
from sigil.providers.fakes import FakeProvider, ScriptedProvider
from tests.talking import talk


@pytest.fixture
def spoken(monkeypatch):
    """The stores after one turn that failed over, and one that did not."""
    refused = ProviderError("fake: no.\x1b[2J", kind=ErrorKind.AUTH, status=401, request_id="r-1")

    async def say() -> object:
        t = talk(
            provider=ScriptedProvider([refused, "back again"], "fake"),
            providers={"backup": FakeProvider("backup")},
            models={"failover": ["backup/m"]},
        )
        await t.say("hello")
        await t.say("again")
        return t.stores

    return say


class Opened:
    def __init__(self, entries):
        self.audit = self
        self.entries = entries

    async def recent(self, limit):
        return self.entries[-limit:]

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        pass


@pytest.fixture
def call_after(call, spoken, monkeypatch):
    import asyncio

    async def entries():
        return await (await spoken()).audit.recent()

    kept = asyncio.run(entries())
    monkeypatch.setattr(turns, "open_stores", lambda settings: Opened(kept))
    return call


def test_each_call_of_a_turn_is_a_line(call_after):
    code, out, _ = call_after("turns")
    header, *rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert header == list(turns.COLUMNS)
    shown = [dict(zip(header, row, strict=True)) for row in rows]
    assert [(row["model"], row["result"]) for row in shown] == [
        ("fake/one", "auth"),
        ("backup/m", "answered"),
        ("fake/one", "answered"),
    ]
    assert shown[0]["why"] == "fake: no.\\x1b[2J"
    assert "\x1b" not in out


def test_failed_ones_alone_and_as_json(call_after):
    code, out, _ = call_after("turns", "--failed", "--json")
    assert code == 0
    (turn,) = json.loads(out)["turns"]
    assert [attempt["error"] for attempt in turn["attempts"]] == ["auth", None]
    assert (turn["attempts"][0]["status"], turn["attempts"][0]["request_id"]) == (401, "r-1")
    assert len(json.loads(call_after("turns", "-n", 1, "--json")[1])["turns"]) == 1


def test_nothing_yet_is_said(call, monkeypatch):
    monkeypatch.setattr(turns, "open_stores", lambda settings: Opened([]))
    assert "no turn yet" in call("turns")[1]
    assert "No turn and no call has failed" in call("turns", "--failed")[1]


def test_a_turn_without_a_call_says_why(call, monkeypatch):
    turn = {"at": "2026-11-23T10:00:00", "user": "u", "workspace": "w", "attempts": []}
    entries = [
        json.dumps({**turn, "what": "refused", "why": "workspace.not_a_member"}),
        json.dumps({**turn, "what": "failed", "why": "provider.failed", "detail": "it rests"}),
        json.dumps({"what": "refused", "message": "m", "why": "pairing.not_admitted"}),
    ]
    monkeypatch.setattr(turns, "open_stores", lambda settings: Opened(entries))
    _, *rows = [line.split("\t") for line in call("turns")[1].splitlines()]
    shown = [dict(zip(turns.COLUMNS, row, strict=True)) for row in rows]
    assert [(row["result"], row["why"]) for row in shown] == [
        ("refused", "workspace.not_a_member"),
        ("failed", "it rests"),
    ]
    (failed,) = json.loads(call("turns", "--failed", "--json")[1])["turns"]
    assert failed["what"] == "failed"


def test_a_call_that_was_stopped_was_not_answered(call, monkeypatch):
    attempt = {"model": "fake/one", "error": None, "seconds": 1, "input_tokens": 0}
    attempt |= {"output_tokens": 0, "cost": 7}
    turn = {"at": "2026-11-23T10:00:00", "user": "u", "workspace": "w"}
    entries = [
        json.dumps({**turn, "attempts": [attempt | answered]})
        for answered in ({"answered": False}, {"answered": True}, {})
    ]
    monkeypatch.setattr(turns, "open_stores", lambda settings: Opened(entries))
    _, *rows = [line.split("\t") for line in call("turns")[1].splitlines()]
    results = [row[turns.COLUMNS.index("result")] for row in rows]
    assert results == ["stopped", "answered", "answered"]


def test_a_cost_that_is_unknown_is_not_nothing(call, monkeypatch):
    usage, models = Usage(10, 20), ("fake/free", "fake/new")
    attempts = [AttemptRecord(model, True, 1.0, usage) for model in models]
    attempts[1] = replace(attempts[1], cost=None)
    turn = {"at": "2026-11-23T10:00:00", "user": "u", "workspace": "w"}
    entry = json.dumps({**turn, "attempts": [attempt.describe() for attempt in attempts]})
    monkeypatch.setattr(turns, "open_stores", lambda settings: Opened([entry]))
    _, *rows = [line.split("\t") for line in call("turns")[1].splitlines()]
    assert [row[turns.COLUMNS.index("cost")] for row in rows] == ["$0.00", "unknown"]

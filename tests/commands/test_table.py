"""What people can ask of Sigil itself."""

from __future__ import annotations

import asyncio

import pytest

from sigil.commands.table import COMMANDS, parse_command
from sigil.testing import FakeProvider, settle
from tests.talking import SlowProvider, talk


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("/help", ("help", "")),
        (" /HELP ", ("help", "")),
        ("/model a/b", ("model", "a/b")),
        ("/model  a/b ", ("model", "a/b")),
        ("/hlep", ("hlep", "")),
        ("/stop now", ("stop", "now")),
        ("/user@host", None),
        ("/stop@sigil_bot", ("stop", "")),
        ("/model@sigil_bot a/b", ("model", "a/b")),
        ("hello", None),
        ("/", None),
        ("/etc/hosts", None),
        ("/etc is a folder", None),
        ("/x\nmore", None),
        ("not /help", None),
        ("", None),
    ],
)
def test_what_is_a_command(text: str, parsed: tuple[str, str] | None) -> None:
    assert parse_command(text) == parsed


async def test_help_names_every_command() -> None:
    (text,) = await talk().say("/help")
    for name in COMMANDS:
        assert f"/{name}" in text


async def test_a_mistyped_command_is_not_sent_to_the_model() -> None:
    t = talk()
    (text,) = await t.say("/hlep")
    assert "/help" in text
    assert t.provider.requests == []


async def test_model_chooses_for_this_conversation_alone() -> None:
    other = FakeProvider("other", reply="from other")
    t = talk(providers={"other": other})
    assert "fake/one" in (await t.say("/model"))[0]
    assert "other/x/y" in (await t.say("/model other/x/y"))[0]
    assert await t.say("hi") == ["from other"]
    assert other.requests[0].model == "x/y"
    assert await t.say("hi", "bob") == ["ok"]
    assert "other/x/y" in (await t.say("/status"))[0]
    await t.say("/model default")
    assert await t.say("hi") == ["ok"]


@pytest.mark.parametrize(
    "wrong", ["gpt", "nobody/x", "fake/", "/x", "fake/a b", "fake/" + "x" * 300]
)
async def test_a_model_that_is_none_changes_nothing(wrong: str) -> None:
    t = talk()
    (text,) = await t.say(f"/model {wrong}")
    assert "from now on" not in text
    assert await t.say("hi") == ["ok"]


async def test_usage_tells_the_conversation_and_the_day() -> None:
    t = talk(budgets={"max_session_tokens": 100})
    await t.say("hi")
    await t.say("/new")
    await t.say("hi")
    (text,) = await t.say("/usage")
    assert "2 of 100 tokens (1 in, 1 out)" in text
    assert "2 tokens in, 2 out, 2 answers" in text


async def test_status_answers_while_a_turn_runs() -> None:
    slow = SlowProvider()
    t = talk(provider=slow)
    for text in ("one", "two"):
        await t.write(text)
    session = await t.routed()
    turn = asyncio.create_task(t.gateway.turn(session))
    await slow.speaking.wait()
    await t.write("/status")
    await t.route_all()
    await settle(t.gateway)
    assert "answering, 2 waiting" in t.texts[0]
    slow.release.set()
    await turn
    await settle(t.gateway)
    assert "idle, 0 waiting" in (await t.say("/status"))[0]


async def test_status_counts_what_came_just_before_it() -> None:
    t = talk()
    for text in ("one", "/status"):
        await t.write(text)
    await settle(t.gateway)
    assert any("1 waiting" in text for text in t.texts)


async def test_commands_are_for_those_who_are_heard() -> None:
    t = talk(memory={"pairing": "closed"})
    for text in ("/help", "/status", "/stop", "/new"):
        assert await t.say(text) == []

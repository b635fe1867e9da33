"""What people can ask of Sigil itself."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigil.commands.table import COMMANDS, parse_command
from sigil.errors import ErrorKind, ProviderError
from sigil.testing import ScriptedProvider, settle
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
        ("/modle a/b", ("modle", "a/b")),
        ("/halp me", ("halp", "me")),
        ("/usr/bin is a folder", None),
        ("/now is the time", None),
        ("/use it", None),
        ("/foo bar", None),
        ("/foo", ("foo", "")),
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


@settings(max_examples=200)
@given(
    name=st.sampled_from(sorted(COMMANDS)),
    upper=st.booleans(),
    bot=st.from_regex(r"(@[a-zA-Z0-9_]{1,32})?", fullmatch=True),
    space=st.sampled_from([" ", "\t", "  "]),
    argument=st.from_regex(r"[^\s]([^\x00]{0,40}[^\s])?", fullmatch=True) | st.just(""),
    around=st.sampled_from(["", " ", "\n"]),
)
def test_a_command_is_found_however_it_is_written(
    name: str, upper: bool, bot: str, space: str, argument: str, around: str
) -> None:
    text = f"{around}/{name.upper() if upper else name}{bot}{space}{argument}{around}"
    assert parse_command(text) == (name, argument.strip())


@given(st.text(max_size=60))
def test_whatever_is_written_is_a_command_or_words(text: str) -> None:
    parsed = parse_command(text)
    assert parsed is None or (text.strip().startswith("/") and not set(parsed[0]) & set(" @\n"))
    assert parse_command("a" + text) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("/stpo", "/stop"),
        ("/hlep", "/help"),
        ("/modle fake/one", "/model"),
        ("/Nwe", "/new"),
        ("/statsu", "/status"),
        ("/usge", "/usage"),
        ("/foo", None),
    ],
)
async def test_a_mistyped_command_is_not_sent_to_the_model(text: str, meant: str | None) -> None:
    t = talk()
    (told,) = await t.say(text)
    assert "/help" in told
    assert told.count("did you mean") == (meant is not None)
    assert meant is None or f"did you mean {meant}?" in told
    assert t.provider.requests == []
    assert await t.counts() == {"accepted": 1, "answered": 1, "sent": 1}


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


@pytest.mark.parametrize(
    ("error", "told"),
    [("auth", "its key was refused"), ("billing", "its account has no credit")],
)
async def test_status_tells_what_only_the_owner_can_mend(error: ErrorKind, told: str) -> None:
    t = talk(provider=ScriptedProvider([ProviderError("no", kind=ErrorKind(error))]))
    assert told not in (await t.say("/status"))[0]
    await t.say("hi")
    assert told in (await t.say("/status"))[0]


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

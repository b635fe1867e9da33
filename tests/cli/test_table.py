"""The table of commands: help, completion, and that nothing is imported too early."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from sigil.cli import app
from sigil.cli.table import TABLE

COMMANDS = (
    *("up", "gateway", "worker", "chat", "send", "notify", "status", "doctor", "version"),
    *("config check", "config show", "config schema", "config init"),
    *("channel list", "channel test", "models", "providers", "providers reset", "budget", "turns"),
)


def test_every_command_explains_itself(call):
    code, out, _ = call("--help")
    assert code == 0
    for command in COMMANDS:
        assert command.split()[0] in out
        code, text, _ = call(*command.split(), "--help")
        assert code == 0
        assert "Usage: " in text


def test_help_imports_nothing_heavy():
    script = (
        "import sys, sigil.cli\n"
        "try: sigil.cli.app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"pydantic", "yaml", "redis", "celery", "structlog", "starlette", "openai", "asyncio"}
    assert heavy & set(re.findall(r"'([^']+)'", done.stderr)) == set()
    assert "config" in done.stdout


def test_wrong_usage_is_2(call):
    for words in (["nonsense"], ["worker", "nonsense"], ["status", "--jsn"], ["up", "--port", "x"]):
        code, out, err = call(*words)
        assert (code, out) == (2, "")
        assert "Error" in err


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--json"],
        ["providers", "reset", "--json"],
        ["config", "show", "--json"],
        ["chat", "--json", "hi"],
    ],
)
def test_for_scripts_an_error_is_json(call, words):
    Path("sigil.yaml").write_text("gatway: {}")
    code, out, err = call(*words)
    assert (code, err) == (1, "")
    error = json.loads(out)["error"]
    assert error.keys() == {"code", "message", "hint"}
    assert error["code"] == "config.invalid"
    assert "gatway" in error["message"]


def test_what_is_sent_is_no_option(call):
    Path("sigil.yaml").write_text("gatway: {}")
    assert call("chat", "--", "--json")[1:] != ("", "")
    assert call("chat", "--", "--json")[1] == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(shell):
    done = subprocess.run(
        [sys.executable, "-c", "import sigil.cli; sigil.cli.main()"],
        env=os.environ
        | {"_SIGIL_COMPLETE": f"complete_{shell}", "COMP_WORDS": "sigil st", "COMP_CWORD": "1"}
        | {"_TYPER_COMPLETE_ARGS": "sigil st", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "status" in done.stdout
    assert "doctor" not in done.stdout


def test_the_app_is_what_other_tools_inspect():
    assert set(typer.main.get_command(app).commands) == {name.split()[0] for name in COMMANDS}


def test_a_row_says_what_the_command_says_of_itself():
    group = typer.main.get_command(app)
    context = group.make_context("sigil", [], resilient_parsing=True)
    for name, text in TABLE.items():
        command = group.get_command(context, name)
        assert command.name == name
        assert command.get_short_help_str(1000).startswith(text.removesuffix("."))


@pytest.mark.parametrize(
    "environ", [{}, {"_SIGIL_COMPLETE": "complete_bash", "COMP_WORDS": "sigil ", "COMP_CWORD": "1"}]
)
def test_help_and_completion_of_names_import_no_command(environ):
    script = (
        "import sys, sigil.cli\n"
        "sys.argv = ['sigil', '--help']\n"
        "try: sigil.cli.main()\n"
        "finally: print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "providers" in done.stdout
    assert "'sigil.cli.table'" in done.stderr
    assert "sigil.cli.commands" not in done.stderr


def test_a_mistyped_command_is_told_which_one_is_near(call):
    code, out, err = call("doctr")
    assert (code, out) == (2, "")
    assert "No such command 'doctr'. Did you mean 'doctor'?" in err

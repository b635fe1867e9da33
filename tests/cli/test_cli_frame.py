"""The command line as a whole: help, errors, exit codes, output."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import sigil
from sigil.cli import app, output
from sigil.config import load_settings
from sigil.errors import ConfigError, StoreError

COMMANDS = (
    *("up", "gateway", "worker", "chat", "send", "notify", "status", "doctor", "version"),
    *("config check", "config show", "config schema", "config init"),
    *("models", "providers", "providers reset", "budget", "turns"),
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


def test_a_known_error_is_one_line_and_1(call):
    code, out, err = call("--config", "gone.yaml", "status")
    assert (code, out) == (1, "")
    assert err == (
        "error: gone.yaml: there is no such file. `sigil config init gone.yaml` writes one.\n"
    )


def test_debug_shows_where_it_came_from(call):
    with pytest.raises(ConfigError):
        call("--debug", "--config", "gone.yaml", "status")


def test_ctrl_c_is_130(monkeypatch, call):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("sigil.cli.version.run", interrupted)
    assert call("version")[0] == 130


def test_ctrl_c_ends_a_waiting_command_without_a_traceback():
    script = (
        "import signal\n"
        "from sigil.cli import main, version\n"
        "def wait(**_): print('waiting', flush=True); signal.pause()\n"
        "version.run = wait\n"
        "main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == ""


def test_what_is_said_to_a_process_that_stays_reaches_its_children(call, monkeypatch, tmp_path):
    seen = {}

    def run(settings, **options):
        seen.update(options, port=settings.gateway.port, model=settings.models.default)
        seen["child"] = load_settings().gateway.port, load_settings().models.default
        return 0

    (tmp_path / "mine.yaml").write_text("models: {default: echo/mine}\ngateway: {port: 1}")
    monkeypatch.setenv("SIGIL_CONFIG", "")
    monkeypatch.setenv("SIGIL_GATEWAY__PORT", "")
    monkeypatch.setattr("sigil.cli.up.run", run)
    monkeypatch.setattr("sigil.logs.setup", lambda *_args, **_options: None)
    assert call("--config", "mine.yaml", "up", "--port", "9000", "--flower")[0] == 0
    assert seen == {
        "flower": True,
        "port": 9000,
        "model": "echo/mine",
        "child": (9000, "echo/mine"),
    }


@pytest.mark.parametrize("role", ["routing", "agent", "outbound"])
def test_a_worker_is_started_with_its_role(call, monkeypatch, role):
    seen = []
    monkeypatch.setattr("sigil.logs.setup", lambda *_args, **_options: None)
    monkeypatch.setattr(
        "sigil.cli.worker.run",
        lambda settings, role, *, check, concurrency: seen.append((role, check, concurrency)) or 3,
    )
    assert call("worker", role, "--check", "--concurrency", "7")[0] == 3
    assert seen == [(role, True, 7)]


@pytest.mark.parametrize(
    ("words", "environ", "expected"),
    [
        (["hi"], {}, ("http://127.0.0.1:8787", None, None, "hi")),
        (["--as", "sean"], {}, ("http://127.0.0.1:8787", "seans", "sean", None)),
        (["--token", "t"], {}, ("http://127.0.0.1:8787", "t", None, None)),
        (
            ["--as", "bob"],
            {"SIGIL_GATEWAY__HOST": "::", "SIGIL_GATEWAY__TOKEN": "own"},
            ("http://[::1]:8787", "own", "bob", None),
        ),
        (["--url", "http://other:1"], {}, ("http://other:1", None, None, None)),
    ],
)
def test_chat_goes_to_the_configured_gateway(call, monkeypatch, words, environ, expected):
    Path("sigil.yaml").write_text("users: {sean: {role: owner, token: seans}, bob: {}}")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    seen = []
    monkeypatch.setattr("sigil.cli.chat.run", lambda *given: seen.append(given))
    assert call("chat", *words)[0] == 0
    assert seen == [expected]


def test_the_configured_token_goes_to_the_configured_gateway_alone(call, monkeypatch):
    Path("sigil.yaml").write_text("gateway: {token: mine}")
    seen = []
    monkeypatch.setattr("sigil.cli.chat.run", lambda *given: seen.append(given))
    call("chat", "--url", "http://other:1")
    call("chat")
    assert [token for _, token, *_ in seen] == [None, "mine"]


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


def test_version(call):
    assert call("version") == call("--version") == (0, f"sigil {sigil.__version__}\n", "")
    assert json.loads(call("version", "--json")[1])["sigil"] == sigil.__version__


def test_a_table_is_tab_separated_in_a_pipe(capsys):
    output.table(("a", "b"), [("x\ty", "[red]1[/red]"), ("\x1b[2J", 2)])
    assert capsys.readouterr().out == "a\tb\nx\\ty\t[red]1[/red]\n\\x1b[2J\t2\n"


def test_a_table_is_drawn_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.table(("name", "state"), [("[bold]x", "ok"), ("\x1b[2J", "fail")])
    drawn = capsys.readouterr().out
    assert "[bold]x" in drawn
    assert "\\x1b[2J" in drawn
    assert "\t" not in drawn


def test_json_is_one_line_in_a_pipe(capsys):
    output.as_json({"a": ["ä"]})
    assert capsys.readouterr().out == '{"a": ["ä"]}\n'


def test_a_store_error_says_what_looks_into_it(capsys):
    output.explain(StoreError("Redis did not answer."))
    assert capsys.readouterr().err == (
        "error: Redis did not answer. `sigil doctor` looks into it.\n"
    )


def test_the_app_is_what_other_tools_inspect():
    assert set(typer.main.get_command(app).commands) == {name.split()[0] for name in COMMANDS}

"""What all commands share: errors, exit codes, and options that reach child processes."""

import signal
import subprocess
import sys

import pytest

from sigil.config import load_settings
from sigil.errors import ConfigError


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

    monkeypatch.setattr("sigil.cli.commands.version.run", interrupted)
    assert call("version")[0] == 130


def test_ctrl_c_ends_a_waiting_command_without_a_traceback():
    script = (
        "import signal\n"
        "from sigil.cli import main\nfrom sigil.cli.commands import version\n"
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
    monkeypatch.setattr("sigil.cli.commands.up.run", run)
    monkeypatch.setattr("sigil.host.logs.setup", lambda *_args, **_options: None)
    assert call("--config", "mine.yaml", "up", "--port", "9000", "--flower")[0] == 0
    assert seen == {
        "flower": True,
        "port": 9000,
        "model": "echo/mine",
        "child": (9000, "echo/mine"),
    }

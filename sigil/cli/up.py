"""`sigil up`: everything on this machine, in one command."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import FrameType

from rich.console import Console
from rich.text import Text

from sigil import bootstrap
from sigil.config import Settings
from sigil.errors import ConfigError
from sigil.host.processes import FolderLock, private_folder
from sigil.host.supervisor import FLOWER_AT, Supervisor


def run(settings: Settings, *, flower: bool = False) -> int:
    """Runs until Ctrl-C or SIGTERM; returns the exit code.

    Raises `ConfigError` if Sigil runs on this folder already, the port is taken or the
    embedded Valkey does not start, and `StartFailed` if another process does not.
    """
    bootstrap.check(settings)
    lock = FolderLock(private_folder(settings.data_dir) / "lock", "Sigil")
    try:
        port = _free_port(
            settings.gateway.host,
            settings.gateway.port,
            otherwise="choose another one: --port, or gateway.port",
        )
        if flower:
            _free_port(*FLOWER_AT, otherwise="leave out --flower")
        return _supervise(settings, port, flower)
    finally:
        lock.release()


def _supervise(settings: Settings, port: int, flower: bool) -> int:
    console = Console(highlight=False, soft_wrap=True)

    def say(text: str) -> None:
        console.print(Text(text, style="yellow"))

    supervisor = Supervisor(settings, port=port, flower=flower, say=say)
    _on_signals(supervisor.ask_to_stop)
    try:
        console.print(Text("Starting Sigil …", style="dim"))
        if supervisor.start():
            _welcome(console, settings, port, flower)
            supervisor.watch()
        console.print(Text("Stopping …", style="dim"))
    finally:
        supervisor.stop()
    return 0


def _on_signals(stop: Callable[[], None]) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


def _free_port(host: str, port: int, *, otherwise: str) -> int:
    """The port, or a free one for 0. Raises `ConfigError` if it cannot be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise ConfigError(
            f"port {port} of {host} cannot be listened on ({error.strerror}).",
            hint=f"Stop what uses it, or {otherwise}.",
        ) from None


def _welcome(console: Console, settings: Settings, port: int, flower: bool) -> None:
    host = settings.gateway.host
    if host in ("0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        host = "127.0.0.1"
    page = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    model = settings.models.default
    lines = [
        ("Page", page),
        ("Channels", ", ".join(sorted(settings.channels))),
        ("Model", model),
        ("Data", str(settings.data_dir)),
        ("Logs", str(settings.data_dir / "logs")),
    ]
    if flower:
        lines.insert(1, ("Flower", "http://{}:{}/".format(*FLOWER_AT)))
    console.print()
    console.print(Text("  Sigil is running. Ctrl-C stops it.", style="bold green"))
    console.print()
    for name, value in lines:
        console.print(Text.assemble((f"  {name:<10}", "dim"), value))
    console.print()
    if model.startswith("echo/"):
        console.print(
            Text(
                "  The echo model only repeats what you write. For a real one, put its key and\n"
                "  models.default into sigil.yaml (`sigil config init` writes one to start from).",
                style="yellow",
            )
        )
        console.print()

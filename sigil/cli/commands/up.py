"""`sigil up`: everything on this machine, in one command."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from sigil.cli.frame import Host, Port, make_app, prepare_process
from sigil.cli.output import escape_lines
from sigil.config.addresses import find_free_port, local_url
from sigil.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from sigil.config import Settings
    from sigil.host.folders import FolderLock

app = make_app()


@app.command()
def up(
    ctx: typer.Context,
    host: Host = None,
    port: Port = None,
    flower: Annotated[
        bool, typer.Option("--flower", help="Also run Flower, a page about the workers.")
    ] = False,
) -> None:
    """Run all of Sigil on this machine."""
    settings = prepare_process(ctx, None, GATEWAY__HOST=host, GATEWAY__PORT=port)
    raise typer.Exit(run(settings, flower=flower))


def run(settings: Settings, *, flower: bool = False) -> int:
    """Runs until Ctrl-C or SIGTERM; returns the exit code.

    Raises `ConfigError` if Sigil already runs on this folder, the port is taken or the embedded
    Valkey does not start, and `StartFailed` if another process does not start.
    """
    from sigil import bootstrap
    from sigil.host.folders import FolderLock, private_folder
    from sigil.host.supervisor import FLOWER_AT, GUARD_WITHIN_S

    bootstrap.check(settings)
    lock = FolderLock(
        private_folder(settings.data_dir) / "lock", "Sigil", patience=GUARD_WITHIN_S, say=_say
    )
    try:
        port = _choose_port(
            settings.gateway.host,
            settings.gateway.port,
            otherwise="choose another one: --port, or gateway.port",
        )
        if flower:
            _choose_port(*FLOWER_AT, otherwise="leave out --flower")
        return _supervise(settings, port, flower, lock)
    finally:
        lock.release()


def _choose_port(host: str, port: int, *, otherwise: str) -> int:
    """The port, or a free one for 0. Raises `ConfigError` if no server can listen on it."""
    try:
        return find_free_port(host, port)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on port {port} of {host} ({error.strerror}).",
            hint=f"Stop what uses it, or {otherwise}.",
        ) from None


def _make_console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _say(text: str) -> None:
    from rich.text import Text

    with contextlib.suppress(OSError):  # what it is written to may be full
        # A part of it may have come from a vendor.
        _make_console().print(Text(escape_lines(text), style="yellow"))


def _supervise(settings: Settings, port: int, flower: bool, lock: FolderLock) -> int:
    from rich.text import Text

    from sigil.host.supervisor import Supervisor
    from sigil.host.vendor_check import VendorCheck

    console = _make_console()
    supervisor = Supervisor(settings, port=port, flower=flower, lock=lock, say=_say)
    _handle_signals(supervisor.ask_to_stop)
    check: VendorCheck | None = None
    try:
        console.print(Text("Starting Sigil …", style="dim"))
        if supervisor.start():
            _print_welcome(console, settings, port, flower)
            if not settings.models.default.startswith("echo/"):
                check = VendorCheck(supervisor.env, _say)
            supervisor.watch()
        console.print(Text("Stopping …", style="dim"))
    finally:
        if check is not None:
            check.stop()
        supervisor.stop()
    return 0


def _handle_signals(stop: Callable[[], None]) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


def _print_welcome(console: Console, settings: Settings, port: int, flower: bool) -> None:
    from rich.text import Text

    from sigil.host.supervisor import FLOWER_AT

    model = settings.models.default
    lines = [
        ("Page", f"{local_url(settings.gateway.host, port)}/"),
        ("Channels", ", ".join(sorted(settings.channels))),
        ("Model", model),
        ("Data", str(settings.data_dir)),
        ("Logs", str(settings.data_dir / "logs")),
    ]
    if flower:
        lines.insert(1, ("Flower", f"{local_url(*FLOWER_AT)}/"))
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

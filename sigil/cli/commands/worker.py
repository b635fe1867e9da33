"""`sigil worker ROLE`: one worker process."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sigil.cli.frame import make_app, prepare_process
from sigil.errors import ConfigError

if TYPE_CHECKING:
    from sigil.config import Settings

app = make_app()


class Role(StrEnum):
    """The three kinds of worker."""

    ROUTING = "routing"
    AGENT = "agent"
    OUTBOUND = "outbound"


@app.command()
def worker(
    ctx: typer.Context,
    role: Annotated[Role, typer.Argument(help="What the worker does.")],
    check: Annotated[
        bool,
        typer.Option("--check", help="Check that a worker of this role is alive on this machine."),
    ] = False,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Lanes to work on at a time.")
    ] = None,
) -> None:
    """Run one worker process of a role."""
    settings = prepare_process(ctx, role.value)
    raise typer.Exit(run(settings, role.value, check=check, concurrency=concurrency))


def run(
    settings: Settings, role: str, *, check: bool = False, concurrency: int | None = None
) -> int:
    """Runs a worker until it is stopped, and returns the exit code.

    With `check` it only looks whether a worker of this role lives on this machine. Raises
    `ConfigError`.
    """
    if check:
        from sigil.host.heartbeat import find_live_workers

        if not find_live_workers(settings, role):
            raise ConfigError(f"No {role} worker is alive on this machine.")
        return 0
    from workers import broker
    from workers.app import serve

    broker.url(settings)  # finds a missing broker now, before Celery answers with a traceback
    return serve(settings, role, concurrency=concurrency)

"""What the commands share: the options before their names, and how they are declared."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sigil.config import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
SeenAs = Annotated[
    str | None, typer.Option("--role", help="Check what this role needs (default: all roles).")
]
Host = Annotated[str | None, typer.Option(help="Address to listen on, instead of gateway.host.")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65_535, help="Port to listen on, instead of gateway.port.")
]


@dataclass(frozen=True)
class Frame:
    """The options that stand before the command's name; a command finds it in `ctx.obj`."""

    config: Path | None = None
    debug: bool = False

    def load_settings(self, role: str | None) -> Settings:
        """The configuration as a process of this role sees it. Raises `ConfigError`."""
        from sigil.config import load_settings

        return load_settings(self.config, role=role)


def make_app(help: str | None = None, *, no_args_is_help: bool = False) -> typer.Typer:
    """A typer app for the module of one command, or of one group, which has a `help`."""
    return typer.Typer(
        help=help,
        no_args_is_help=no_args_is_help,
        add_completion=False,  # the options for completion are at the top only
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


def prepare_process(
    ctx: typer.Context, role: str | None, **overrides: str | int | None
) -> Settings:
    """Loads the settings and sets up the logs of a process that stays.

    The options of the command line go into the environment, so that the processes that this one
    starts use them too. `overrides` are settings by the names of their variables:
    `GATEWAY__PORT=8000`.
    """
    frame: Frame = ctx.obj
    if frame.config is not None:
        os.environ["SIGIL_CONFIG"] = str(frame.config.absolute())
    for name, value in overrides.items():
        if value is not None:
            os.environ[f"SIGIL_{name}"] = str(value)
    settings = frame.load_settings(role)
    from sigil.host import logs

    logs.setup(settings, role=role)
    return settings

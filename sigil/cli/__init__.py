"""The command line: what there is to call, and how it fails.

Commands import what they need when they run, so that `sigil --help` answers at once. An error
that Sigil knows is one line on stderr and exit code 1; wrong usage is 2; Ctrl-C is 130.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from sigil.config import Settings


@dataclass(frozen=True)
class Frame:
    """What was said before the command's name."""

    config: Path | None = None
    debug: bool = False

    def settings(self, role: str | None) -> Settings:
        """The configuration as this role sees it. Raises `ConfigError`."""
        from sigil.config import load_settings

        return load_settings(self.config, role=role)


class WorkerRole(StrEnum):
    """The three kinds of worker."""

    ROUTING = "routing"
    AGENT = "agent"
    OUTBOUND = "outbound"


class _Commands(TyperGroup):
    """Turns the errors that Sigil raises into one line each."""

    def invoke(self, ctx: Any) -> Any:
        from sigil.errors import SigilError

        try:
            return super().invoke(ctx)
        except SigilError as error:
            if isinstance(ctx.obj, Frame) and ctx.obj.debug:
                raise
            from sigil.cli.output import explain

            explain(error)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="sigil",
    cls=_Commands,
    help="Sigil puts AI agents behind chat apps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they would show the values of variables
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(
    name="config", help="Check, show and start configurations.", no_args_is_help=True
)
app.add_typer(config_app)
providers_app = typer.Typer(name="providers", help="Show the model vendors, and what rests.")
app.add_typer(providers_app)

SeenAs = Annotated[str | None, typer.Option("--role", help="As this role sees it; default: all.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def main() -> None:
    """The `sigil` command."""
    try:
        app(prog_name="sigil")  # also as `python -m`, so that completion finds its variable
    except KeyboardInterrupt:  # outside of a command, as while importing
        sys.exit(130)


def _say_version(wanted: bool) -> None:
    if wanted:
        from sigil.cli import version

        raise typer.Exit(version.run(as_json=False))


@app.callback()
def _frame(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            help="The configuration; default: ./sigil.yaml, then the user's, then /etc/sigil's."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Sigil puts AI agents behind chat apps."""
    ctx.obj = Frame(config, debug)


def _started(ctx: typer.Context, role: str | None, **overrides: str | int | None) -> Settings:
    """Settings and logs of a process that stays. What was said on the command line goes into
    the environment, so that the processes it starts are told the same."""
    known: Frame = ctx.obj
    if known.config is not None:
        os.environ["SIGIL_CONFIG"] = str(known.config.absolute())
    for name, value in overrides.items():
        if value is not None:
            os.environ[f"SIGIL_{name}"] = str(value)
    settings = known.settings(role)
    from sigil import logs

    logs.setup(settings, role=role)
    return settings


Host = Annotated[str | None, typer.Option(help="Address to listen on, over the configuration's.")]
Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="Port, likewise.")]


@app.command("up")
def _up(
    ctx: typer.Context,
    host: Host = None,
    port: Port = None,
    flower: Annotated[bool, typer.Option("--flower", help="Run Flower beside it.")] = False,
) -> None:
    """Run all of Sigil on this machine."""
    from sigil.cli import up as command

    settings = _started(ctx, None, GATEWAY__HOST=host, GATEWAY__PORT=port)
    raise typer.Exit(command.run(settings, flower=flower))


@app.command("gateway")
def _gateway(ctx: typer.Context, host: Host = None, port: Port = None) -> None:
    """Run the gateway: listeners, web page, HTTP API."""
    from sigil.cli import gateway as command

    command.run(_started(ctx, "gateway", GATEWAY__HOST=host, GATEWAY__PORT=port))


@app.command("worker")
def _worker(
    ctx: typer.Context,
    role: Annotated[WorkerRole, typer.Argument(help="What it works on.")],
    check: Annotated[
        bool, typer.Option("--check", help="Say whether such a worker of this machine is well.")
    ] = False,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Lanes worked on at a time.")
    ] = None,
) -> None:
    """Run one worker process of a role."""
    from sigil.cli import worker as command

    settings = _started(ctx, role.value)
    raise typer.Exit(command.run(settings, role.value, check=check, concurrency=concurrency))


def _address(settings: Settings) -> str:
    host = settings.gateway.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # where it listens; it is called on loopback
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.gateway.port}"


def _token(settings: Settings, user: str | None) -> str | None:
    own = settings.users[user].token if user in settings.users else None
    token = own or settings.gateway.token
    return token.get_secret_value() if token is not None else None


@app.command("chat")
def _chat(
    ctx: typer.Context,
    text: Annotated[str | None, typer.Argument(help="Say this, print the answer, end.")] = None,
    url: Annotated[
        str | None, typer.Option(help="The gateway's address; default: the configuration's.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="SIGIL_GATEWAY__TOKEN", show_envvar=True, help="The token to use."),
    ] = None,
    as_user: Annotated[str | None, typer.Option("--as", help="The user to be.")] = None,
) -> None:
    """Talk to the agent in this terminal."""
    from sigil.cli import chat as command

    if url is None:  # the configured token is for the configured gateway alone
        settings: Settings = ctx.obj.settings("client")
        url, token = _address(settings), token or _token(settings, as_user)
    command.run(url, token, as_user, text)


@app.command("send")
def _send(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="The message; - reads standard input.")],
    as_user: Annotated[str, typer.Option("--as", help="The user who writes.")],
    channel: Annotated[str, typer.Option(help="The channel it comes from.")] = "terminal",
    chat_id: Annotated[
        str | None, typer.Option("--chat", help="The chat; default: the user's own.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take a message as if a person had written it."""
    from sigil.cli import send as command

    settings = ctx.obj.settings("routing")
    raise typer.Exit(command.send(settings, as_user, text, channel, chat_id, as_json=as_json))


@app.command("notify")
def _notify(
    ctx: typer.Context,
    channel: Annotated[str, typer.Argument(help="The channel's name.")],
    chat_id: Annotated[str, typer.Argument(metavar="CHAT", help="The platform's id of the chat.")],
    text: Annotated[str, typer.Argument(help="The message, in Markdown; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """Send a message to a chat, past the agent."""
    from sigil.cli import send as command

    settings = ctx.obj.settings("routing")
    raise typer.Exit(command.notify(settings, channel, chat_id, text, as_json=as_json))


@app.command("status")
def _status(
    ctx: typer.Context,
    verify: Annotated[
        bool, typer.Option("--verify", help="Recount from the records; 1 if it does not add up.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what was accepted and how it ended, per day."""
    from sigil.cli import status as command

    raise typer.Exit(command.run(ctx.obj.settings("routing"), verify=verify, as_json=as_json))


@app.command("doctor")
def _doctor(ctx: typer.Context, role: SeenAs = None, as_json: Json = False) -> None:
    """Find what is wrong here, and say what to do."""
    from sigil.cli import doctor as command

    raise typer.Exit(command.run(ctx.obj.config, role, as_json=as_json))


@app.command("models")
def _models(
    ctx: typer.Context,
    provider: Annotated[str | None, typer.Argument(help="Whose; default: all configured.")] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the vendors instead of the built-in lists.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the models, what they can do and what they cost."""
    from sigil.cli import models as command

    settings_of = ctx.obj.settings
    raise typer.Exit(command.run(settings_of, provider, refresh=refresh, as_json=as_json))


@app.command("turns")
def _turns(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many.")] = 20,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those of which a call failed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show which models the last turns called, how that went, and what it cost."""
    from sigil.cli import turns as command

    settings = ctx.obj.settings("routing")
    raise typer.Exit(command.run(settings, limit=limit, failed=failed, as_json=as_json))


@app.command("budget")
def _budget(
    ctx: typer.Context,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="Of this user.")] = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", metavar="ID", help="Of this workspace.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="KEY", help="Of this session.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what may be spent, what was, and when that resets."""
    from sigil.cli import budget as command

    settings = ctx.obj.settings("routing")
    raise typer.Exit(
        command.run(settings, user=user, workspace=workspace, session=session, as_json=as_json)
    )


@app.command("version")
def _version(as_json: Json = False) -> None:
    """Print the version."""
    from sigil.cli import version as command

    raise typer.Exit(command.run(as_json=as_json))


@providers_app.callback(invoke_without_command=True)
def _providers(ctx: typer.Context, as_json: Json = False) -> None:
    """Show the model vendors, their keys by fingerprint, and which of their models rest."""
    if ctx.invoked_subcommand is None:
        from sigil.cli import providers as command

        raise typer.Exit(command.show(ctx.obj.settings("agent"), as_json=as_json))


@providers_app.command("reset")
def _providers_reset(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="[PROVIDER[/MODEL]]", help="Whose; default: all.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Forget cooldowns, so that what rests is called again at once."""
    from sigil.cli import providers as command

    raise typer.Exit(command.reset(ctx.obj.settings("routing"), name, as_json=as_json))


@config_app.command("check")
def _config_check(ctx: typer.Context, role: SeenAs = None, as_json: Json = False) -> None:
    """Say whether the configuration is usable, or all that is wrong with it."""
    from sigil.cli import config as command

    raise typer.Exit(command.check(ctx.obj.config, role, as_json=as_json))


@config_app.command("show")
def _config_show(ctx: typer.Context, as_json: Json = False) -> None:
    """Print the settings that are in force, secrets masked."""
    from sigil.cli import config as command

    raise typer.Exit(command.show(ctx.obj.settings(None), as_json=as_json))


@config_app.command("schema")
def _config_schema() -> None:
    """Print the JSON Schema of sigil.yaml, for editors."""
    from sigil.cli import config as command

    raise typer.Exit(command.schema())


@config_app.command("init")
def _config_init(
    path: Annotated[Path, typer.Argument(help="Where to.")] = Path("sigil.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Write a commented configuration to start from."""
    from sigil.cli import config as command

    raise typer.Exit(command.init(path, force=force))

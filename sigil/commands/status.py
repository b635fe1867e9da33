"""/status: what goes on in this conversation."""

from __future__ import annotations

from math import ceil

from sigil.commands.base import CommandContext, CommandResult
from sigil.errors import ErrorKind

_TROUBLES = {ErrorKind.AUTH: "its key was refused", ErrorKind.BILLING: "its account has no credit"}


async def show_status(context: CommandContext) -> CommandResult:
    """Workspace, model and its trouble, tokens, and what runs and waits."""
    session, status = context.session, context.status
    work = "answering" if status.leased else "idle"
    if status.rest is not None:
        work = f"waiting for a model, {ceil(status.rest)} s more"
    lines = [
        f"**Workspace** {context.route.workspace_id}",
        f"**Model** {context.current_model}{await _describe_trouble(context)}",
        f"**Session** {session.input_tokens + session.output_tokens} tokens used",
        f"**Now** {work}, {status.waiting} waiting",
    ]
    return CommandResult("  \n".join(lines))


async def _describe_trouble(context: CommandContext) -> str:
    """What only the owner can mend before the model answers again, as the workers have found."""
    provider, _, model = context.current_model.partition("/")
    for each in await context.stores.health.list_cooldowns():
        if (each.provider, each.model) == (provider, model) and each.kind in _TROUBLES:
            return f" ({_TROUBLES[each.kind]})"
    return ""

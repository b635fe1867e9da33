"""/status: what goes on in this conversation."""

from __future__ import annotations

from math import ceil

from sigil.commands.base import CommandContext, CommandResult


async def show_status(context: CommandContext) -> CommandResult:
    """Workspace, model, tokens, and what runs and waits."""
    session, status = context.session, context.status
    work = "answering" if status.leased else "idle"
    if status.rest is not None:
        work = f"waiting for a model, {ceil(status.rest)} s more"
    lines = [
        f"**Workspace** {context.route.workspace_id}",
        f"**Model** {context.current_model}",
        f"**Session** {session.input_tokens + session.output_tokens} tokens used",
        f"**Now** {work}, {status.waiting} waiting",
    ]
    return CommandResult("  \n".join(lines))

"""/stop: ends the answer that is being written and drops what waits. Answered at routing."""

from __future__ import annotations

from sigil.commands.base import CommandContext, CommandResult
from sigil.lanes.effects import Stop


async def stop_session(context: CommandContext) -> CommandResult:
    """Marks all that is in the session's lane now; what comes after it is answered."""
    waiting = context.status is not None and context.status.waiting
    text = "Stopped." if waiting else "Nothing is running."
    return CommandResult(text, (Stop(context.lane),))

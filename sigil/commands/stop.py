"""/stop: ends the answer that is being written and drops what waits."""

from __future__ import annotations

from sigil.commands.base import CommandContext, CommandResult
from sigil.lanes.effects import Stop


async def stop_session(context: CommandContext) -> CommandResult:
    """Marks all that is in the session's lane now; what comes after it is answered. If the lane
    moves before that, the command is run again, so that the numbers are right."""
    status = context.status
    return CommandResult(_describe(context), (Stop(context.lane, status.waiting, status.token),))


def _describe(context: CommandContext) -> str:
    waiting, is_running = context.status.waiting, context.status.leased
    if not waiting:
        return "Nothing is running."
    if is_running and context.coalesces and waiting > 1:
        # Only the agent knows how many of them it was just answering together.
        return f"Stopped. {waiting} messages stay unanswered."
    dropped = waiting - 1 if is_running else waiting
    if not dropped:
        return "Stopped."
    some = "1 waiting message was" if dropped == 1 else f"{dropped} waiting messages were"
    return f"Stopped. {some} dropped."

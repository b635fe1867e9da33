"""/new: a fresh conversation, with a fresh token budget."""

from __future__ import annotations

from sigil.commands.base import CommandContext, CommandResult
from sigil.lanes.effects import WriteSession


async def start_session(context: CommandContext) -> CommandResult:
    """Raises the session's epoch: its history and its token counts start anew."""
    session = context.session
    fields = {"epoch": str(session.epoch + 1), "input_tokens": "0", "output_tokens": "0"}
    effect = WriteSession(session.key, session.id, session.version, fields=fields)
    return CommandResult("A fresh conversation. What is on your mind?", (effect,))

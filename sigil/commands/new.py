"""/new: a fresh conversation, with a fresh token budget."""

from __future__ import annotations

from sigil.commands.base import CommandContext, CommandResult
from sigil.lanes.effects import EndWait, WriteSession


async def start_session(context: CommandContext) -> CommandResult:
    """Raises the session's epoch: its history and its token counts start anew. What was routed
    before is answered in the epoch of then."""
    session = context.session
    fields = {"epoch": str(session.epoch + 1), "input_tokens": "0", "output_tokens": "0"}
    effect = WriteSession(session.key, session.id, session.version, fields=fields)
    before = " What you wrote before is still answered in the old one."
    text = f"A fresh conversation.{before if context.status.waiting else ''} What is on your mind?"
    return CommandResult(text, (effect, EndWait(context.lane)))

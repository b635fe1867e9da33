"""/model: which model this conversation uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sigil.commands.base import CommandContext, CommandResult
from sigil.lanes.effects import WriteSession

if TYPE_CHECKING:
    from sigil.sessions import SessionRecord

MOST_NAME_CHARS = 200


async def choose_model(context: CommandContext) -> CommandResult:
    """Without an argument says which model is used; `default` takes a choice back."""
    name = context.argument
    if not name:
        return CommandResult(f"This conversation uses `{context.current_model}`.")
    if name == "default":
        return CommandResult(
            f"This conversation uses `{context.usual_model}` again.",
            (_set_model(context.session, ""),),
        )
    provider, _, model = name.partition("/")
    if not model or len(name) > MOST_NAME_CHARS or any(char.isspace() for char in name):
        return CommandResult("Write it as `/model provider/model`.")
    if provider not in context.directory.provider_names:
        known = ", ".join(f"`{name}`" for name in context.directory.provider_names)
        return CommandResult(f"There is no provider `{provider}`. I have {known}.")
    return CommandResult(
        f"This conversation uses `{name}` from now on.", (_set_model(context.session, name),)
    )


def _set_model(session: SessionRecord, name: str) -> WriteSession:
    return WriteSession(session.key, session.id, session.version, fields={"model": name})

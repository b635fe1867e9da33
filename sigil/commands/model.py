"""/model: which model answers in this conversation, and which ones may be chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sigil.commands.base import CommandContext, CommandResult
from sigil.config.problems import find_close
from sigil.lanes.effects import EndWait, WriteSession


async def choose_model(context: CommandContext) -> CommandResult:
    """Without an argument lists the models; `default` takes a choice back. Only models that are
    allowed here can be chosen."""
    wanted = context.argument
    models = context.directory.models.allowed(context.route.workspace_id)
    allowed = tuple(dict.fromkeys((context.usual_model, *models)))
    if not wanted:
        return CommandResult(_list_models(context, allowed))
    if wanted.lower() == "default":
        text = f"This conversation uses `{context.usual_model}` again."
        return CommandResult(text, _choose(context, ""))
    name = _find(wanted, allowed)
    if name is None:
        return CommandResult(_describe_unknown(wanted, allowed))
    return CommandResult(f"This conversation uses `{name}` from now on.", _choose(context, name))


def _find(wanted: str, allowed: Sequence[str]) -> str | None:
    """The model of this name. The provider may be left out where that leaves no doubt."""
    for form in (wanted, wanted.lower()):
        for read in (str, _drop_provider):
            found = [name for name in allowed if read(name) == form]
            if len(found) == 1:
                return found[0]
    return None


def _drop_provider(name: str) -> str:
    return name.partition("/")[2]


def _choose(context: CommandContext, name: str) -> tuple[WriteSession, EndWait]:
    session = context.session
    write = WriteSession(session.key, session.id, session.version, fields={"model": name})
    return write, EndWait(context.lane)


def _describe_unknown(wanted: str, allowed: Sequence[str]) -> str:
    # What was written is not repeated: it may be long, or hold marks of its own.
    text = "That is none of the models here"
    close = find_close(wanted, allowed)
    if close is None:
        short = {_drop_provider(name): name for name in allowed}
        close = short.get(find_close(wanted, short) or "")
    meant = f"; did you mean `{close}`?" if close else "."
    return f"{text}{meant} /model lists them."


def _list_models(context: CommandContext, allowed: Sequence[str]) -> str:
    current, usual = context.current_model, context.usual_model
    if len(allowed) == 1:
        return f"This conversation uses `{current}`. There is no other to choose."
    lines = [f"This conversation uses `{current}`. You can choose with `/model NAME`:", ""]
    for name in allowed:
        facts = list(_describe(context, name, current, usual))
        lines.append(f"- `{name}`" + (f": {', '.join(facts)}" if facts else ""))
    if current != usual:
        lines += ["", "`/model default` goes back to the usual one."]
    return "\n".join(lines)


def _describe(context: CommandContext, name: str, current: str, usual: str) -> Iterable[str]:
    """What people want to know of a model before they choose it."""
    if name == current:
        yield "**in use**"
    if name == usual:
        yield "the usual one"
    elif name in context.directory.models.failover:
        yield "steps in when another one fails"
    info = context.directory.find_model(name)
    if info is not None:
        if info.vision:
            yield "sees pictures"
        if info.thinking:
            yield "thinks before it answers"
        yield f"reads up to {_format_tokens(info.max_context_tokens)} tokens"


def _format_tokens(count: int) -> str:
    if count >= 1_000_000:
        return f"{count / 1_000_000:.3g} million"
    return f"{count:,}"

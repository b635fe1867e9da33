"""/usage: tokens and money of this conversation, this person and this workspace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sigil.commands.base import CommandContext, CommandResult
from sigil.money.amounts import format_reset, format_usd

if TYPE_CHECKING:
    from sigil.money.standings import Standing

_WHOSE = {"session": "This conversation", "user": "You", "workspace": "This workspace"}
_SPANS = {"hour": "this hour", "day": "today"}


async def show_usage(context: CommandContext) -> CommandResult:
    """Tokens of the session and of the person's day, and each amount of money that is limited
    or was spent. What everybody together may spend is for the owner alone."""
    session, route, stores = context.session, context.route, context.stores
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    today = await stores.budgets.read_usage("user", route.user_id, day)
    budgets = context.directory.open_budgets(stores.budgets)
    limits = budgets.find_limits(session.key, route.user_id, route.scope)
    standings = await budgets.read_standings([x for x in limits if x.scope != "all"])
    used = session.input_tokens + session.output_tokens
    limit = context.directory.budgets.max_session_tokens
    of = f" of {limit}" if limit is not None else ""
    return CommandResult(
        f"**This conversation** {used}{of} tokens "
        f"({session.input_tokens} in, {session.output_tokens} out)  \n"
        f"**You, today** {today.get('input_tokens', 0)} tokens in, "
        f"{today.get('output_tokens', 0)} out, {today.get('turns', 0)} answers"
        + "".join(map(_describe_standing, standings))
    )


def _describe_standing(standing: Standing) -> str:
    """One line of money, or nothing if none is limited or spent."""
    used = standing.spent + standing.reserved
    if standing.limit is None and not used:
        return ""
    line = f"  \n**{_WHOSE[standing.scope]}, {_SPANS[standing.window]}** {format_usd(used)}"
    if standing.limit is None:
        return line
    resets = format_reset(standing.window, standing.resets_in)
    return f"{line} of {format_usd(standing.limit)}, resets {resets}"

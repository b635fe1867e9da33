"""What is kept of a turn: history, usage, and the record of its model calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sigil.conversation import encode_message
from sigil.effects import AppendHistory, Audit, CountUsage, Effect

if TYPE_CHECKING:
    from sigil.agent.answer import Answer
    from sigil.agent.choose import Turn
    from sigil.conversation import Message, Usage
    from sigil.providers.chain.record import AttemptRecord
    from sigil.sessions import SessionRecord
    from sigil.workspace import Workspace


def kept_of(
    turn: Turn,
    workspace: Workspace,
    session: SessionRecord,
    messages: Sequence[Message],
    answer: Answer,
    window: int,
) -> list[Effect]:
    """The effects that keep a turn; its history is cut to twice the window."""
    encoded = [encode_message(message) for message in messages]
    return [
        AppendHistory(session.key, session.id, encoded, 2 * window),
        used(turn, workspace, session, answer.usage, turns=1),
        audit("turn", turn, answer.attempts),
    ]


def used(
    turn: Turn, workspace: Workspace, session: SessionRecord, usage: Usage, *, turns: int
) -> CountUsage:
    """Counts tokens and turns for the session, and for the person and the workspace today."""
    amounts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "turns": turns,
    }
    return CountUsage(session.key, turn.route.user_id, workspace.scope, amounts)


def audit(what: str, turn: Turn, attempts: Sequence[AttemptRecord] = (), **more: Any) -> Audit:
    """One entry of the audit log: what became of a turn, and each model call of it."""
    entry = {
        "what": what,
        "turn": turn.id,
        "user": turn.route.user_id,
        "workspace": turn.route.workspace_id,
        "at": turn.last.received_at.isoformat(),
        "attempts": [_attempt(attempt) for attempt in attempts],
        **more,
    }
    return Audit(json.dumps(entry))


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    """Money in micro-dollars."""
    error = attempt.error
    record: dict[str, Any] = {
        "model": attempt.model,
        "answered": attempt.answered,
        "error": None if error is None else error.kind.value,
        "seconds": round(attempt.seconds, 3),
        "input_tokens": attempt.usage.input_tokens,
        "output_tokens": attempt.usage.output_tokens,
        "cost": attempt.cost,
    }
    if error is not None:
        record |= {"why": str(error), "status": error.status, "request_id": error.request_id}
    return record

"""How a turn ends: what is counted, what the person is told, and what is kept.

the model answered        ANSWERED   its words           history, usage, audit
the person said stop      STOPPED    its words so far    the same
no model answered         FAILED     one honest sentence the same, without an answer
the budget is used up     REFUSED    which, and until when
not a member any more     REFUSED    the account's refusal
begun too often           DEAD       an apology          the message, for replay
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from sigil.agent import wording
from sigil.errors import BudgetExceeded
from sigil.lanes.effects import (
    Audit,
    CountUsage,
    DeadLetter,
    Effect,
    Outcome,
    Stage,
    WriteSession,
    encode_audit_entry,
)
from sigil.messages.conversation import Message, encode_message
from sigil.messages.exchange import fit_reply

if TYPE_CHECKING:
    from sigil.agent.reply import Reply
    from sigil.agent.turn import Turn
    from sigil.commands.base import CommandResult
    from sigil.errors import NotAMember
    from sigil.lanes.lane import Item
    from sigil.providers.chain.record import AttemptRecord

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """What the last commit of a turn holds; `text` is what the person is told, if anything."""

    outcome: Outcome
    text: str | None = None
    effects: tuple[Effect, ...] = ()


def end_turn(turn: Turn, question: Message, reply: Reply) -> Ending:
    """The ending of a turn that has asked the models."""
    if isinstance(reply.error, BudgetExceeded):
        return _end_over_budget(turn, reply, reply.error)
    if reply.error is not None:
        log.warning("no model answered", reason=str(reply.error))
        told = wording.explain_failure(reply.error)
        why = {"why": reply.error.code, "detail": str(reply.error)}
        return _end_failed(turn, question, reply, told, why)
    text = fit_reply(reply.text).strip()
    if reply.is_late and not text:
        why = {"why": "turn.timeout", "detail": wording.TOO_LONG}
        return _end_failed(turn, question, reply, wording.TOO_LONG, why)
    if reply.is_stopped:
        outcome, note = Outcome.STOPPED, wording.STOPPED if text else ""
    elif reply.is_late:
        outcome, note = Outcome.ANSWERED, wording.TOO_LONG
    else:
        outcome, note = Outcome.ANSWERED, "" if text else wording.EMPTY
    messages = [question, Message(role="assistant", content=text)] if text else [question]
    shown = "\n\n".join(part for part in (text, note) if part)
    entry = audit_turn("turn", turn, reply.attempts)
    return Ending(outcome, shown, (*_write_session(turn, messages, reply, turns=1), entry))


def end_command(result: CommandResult) -> Ending:
    """The ending of a turn that ran a command."""
    return Ending(Outcome.ANSWERED, result.text, result.effects)


def refuse_stranger(turn: Turn, error: NotAMember) -> Ending:
    """The ending of a turn whose person may not speak here any more."""
    entry = audit_turn("refused", turn, why=error.code)
    return Ending(Outcome.REFUSED, turn.account.refusal, (entry,))


def bury_item(item: Item) -> Ending:
    """The ending of an item that is given up for good."""
    reason = "the turn was started several times and never finished"
    entry = Audit(encode_audit_entry("dead", message=item.id))
    return Ending(Outcome.DEAD, wording.DEAD, (DeadLetter(item.id, Stage.TURN, reason), entry))


def audit_turn(what: str, turn: Turn, attempts: Sequence[AttemptRecord] = (), **more: Any) -> Audit:
    """One entry of the audit log: what became of a turn, and each model call of it."""
    entry = encode_audit_entry(
        what,
        turn=turn.id,
        user=turn.route.user_id,
        workspace=turn.route.workspace_id,
        at=turn.last.received_at.isoformat(),
        attempts=[_describe_attempt(attempt) for attempt in attempts],
        **more,
    )
    return Audit(entry)


def _end_over_budget(turn: Turn, reply: Reply, error: BudgetExceeded) -> Ending:
    text = wording.explain_budget(error)
    why = audit_turn("refused", turn, reply.attempts, why=error.code, detail=error.message)
    if not reply.attempts:
        return Ending(Outcome.REFUSED, text, (why,))
    # What other models used before there was no money left for this one is used.
    return Ending(Outcome.REFUSED, text, (*_write_session(turn, [], reply, turns=0), why))


def _end_failed(
    turn: Turn, question: Message, reply: Reply, told: str, why: Mapping[str, str]
) -> Ending:
    """No model answered. The person is `told` in a short honest sentence; `why` is the owner's to
    read."""
    entry = audit_turn("failed", turn, reply.attempts, **why)
    return Ending(Outcome.FAILED, told, (*_write_session(turn, [question], reply, turns=0), entry))


def _write_session(
    turn: Turn, messages: Sequence[Message], reply: Reply, *, turns: int
) -> tuple[Effect, ...]:
    """Appends to the history (cut to twice the window), and counts tokens and turns for the
    session, and for the person and the workspace today."""
    amounts = {
        "input_tokens": reply.usage.input_tokens,
        "output_tokens": reply.usage.output_tokens,
        "turns": turns,
    }
    session = turn.session
    write = WriteSession(
        session.key,
        turn.session_id,
        session.version,
        messages=[encode_message(message) for message in messages],
        keep=2 * turn.directory.agent.window,
        # /new may have come meanwhile. The fresh session has used nothing of this.
        amounts=amounts if session.id == turn.session_id else {},
    )
    return write, CountUsage(turn.route.user_id, turn.route.scope, amounts)


def _describe_attempt(attempt: AttemptRecord) -> dict[str, Any]:
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

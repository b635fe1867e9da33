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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from sigil.agent import wording
from sigil.agent.owner_news import NO_NEWS, OwnerNews
from sigil.channels.live import dropped_event, show_event
from sigil.errors import BudgetExceeded, ProviderError, SigilError
from sigil.errors.failures import POLICY, Told
from sigil.lanes.effects import (
    Audit,
    CountUsage,
    DeadLetter,
    Effect,
    Outcome,
    Show,
    Stage,
    WriteSession,
    encode_audit_entry,
)
from sigil.lanes.replies import make_reply
from sigil.messages.conversation import Message, encode_message
from sigil.messages.exchange import Action, fit_reply

if TYPE_CHECKING:
    from sigil.agent.reply import Reply
    from sigil.agent.turn import Turn
    from sigil.commands.base import CommandResult
    from sigil.errors import NotAMember
    from sigil.lanes.lane import Item
    from sigil.messages.exchange import AnswerDetails, OutboundMessage
    from sigil.providers.chain.record import AttemptRecord

log = structlog.get_logger(__name__)

CONTINUE = Action("Please continue where you stopped.", "Continue")
"""What people may do when an answer was cut at its limit."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What the last commit of a turn holds; `text` is what the person is told, if anything, with
    how it came about and what they may do next."""

    outcome: Outcome
    text: str | None = None
    effects: tuple[Effect, ...] = ()
    details: AnswerDetails | None = None
    actions: tuple[Action, ...] = ()


def end_turn(
    turn: Turn,
    question: Message,
    reply: Reply,
    news: OwnerNews = NO_NEWS,
    *,
    live: bool = False,
    buttons: bool = False,
) -> Ending:
    """The ending of a turn that has asked the models; `news` are for the owner. The readers of a
    `live` chat see from the answer's details that it was stopped or cut; others are told in its
    last line. What may be done next is a button where there are `buttons`."""
    ending = _end_asked(turn, question, reply, news, live=live)
    if ending.actions and not live and ending.details is not None:
        note = wording.CUT.format(limit=ending.details.cut_at)
        if not buttons:
            note = f"{note} {wording.GO_ON.format(text=CONTINUE.id)}"
        actions = ending.actions if buttons else ()
        ending = replace(ending, text=f"{ending.text}\n\n{note}".strip(), actions=actions)
    return replace(ending, effects=(*ending.effects, *news.effects))


def _end_asked(
    turn: Turn, question: Message, reply: Reply, news: OwnerNews, *, live: bool
) -> Ending:
    if isinstance(reply.error, BudgetExceeded):
        return _end_over_budget(turn, reply, reply.error)
    if reply.error is not None:
        if _is_rejected(reply.error):
            # They would be sent again with each question to come, and rejected again.
            question = replace(question, files=())
        log.warning("no model answered", reason=str(reply.error))
        told = wording.explain_failure(reply.error, owner_knows=news.is_told, causes=news.causes)
        why = {"why": reply.error.code, "detail": str(reply.error)}
        return _end_failed(turn, question, reply, told, why)
    text = fit_reply(reply.text).strip()
    if reply.is_late and not text:
        why = {"why": "turn.timeout", "detail": wording.TOO_LONG}
        return _end_failed(turn, question, reply, wording.TOO_LONG, why)
    details = reply.describe()
    is_cut = details is not None and details.cut_at is not None
    messages = [question, Message(role="assistant", content=text)] if text else [question]
    entry = audit_turn("turn", turn, reply.attempts)
    effects: tuple[Effect, ...] = (*_write_session(turn, messages, reply, turns=1), entry)
    if live and reply.is_stopped and not text:
        effects += _show_dropped(turn)
    return Ending(
        outcome=Outcome.STOPPED if reply.is_stopped else Outcome.ANSWERED,
        text="\n\n".join(filter(None, (text, *_list_notes(reply, text, live=live)))),
        effects=effects,
        details=details,
        actions=(CONTINUE,) if is_cut else (),
    )


def _is_rejected(error: SigilError) -> bool:
    """Whether what was sent is what failed."""
    told = POLICY[error.kind].told if isinstance(error, ProviderError) else Told.TRY_LATER
    return told is not Told.TRY_LATER


def _list_notes(reply: Reply, text: str, *, live: bool) -> Sequence[str]:
    """What is said below the answer's words, about files first."""
    if reply.is_stopped:
        return [_choose_note(reply, text, live=live)]
    if reply.notes and not text and not reply.attempts:  # no model was asked
        return reply.notes
    return [*reply.notes, _choose_note(reply, text, live=live)]


def _choose_note(reply: Reply, text: str, *, live: bool) -> str:
    """What is said of how it ended, apart from its having been cut."""
    if reply.is_stopped:
        return wording.STOPPED if text and not live else ""
    if reply.is_late:
        return wording.TOO_LONG
    return "" if text else wording.EMPTY


def _show_dropped(turn: Turn) -> tuple[Show, ...]:
    """The events that mark the turn's messages, to which there will be no reply."""
    return tuple(
        show_event(message, f"{item.id}.dropped", dropped_event(message.message_id))
        for item, message in zip(turn.items, turn.messages, strict=True)
    )


def record_calls(turn: Turn, reply: Reply) -> tuple[Effect, ...]:
    """What is kept of a turn's calls when the turn begins anew later: the record, and the usage."""
    if not reply.attempts:
        return ()
    entry = audit_turn("waits", turn, reply.attempts)
    return (*_write_session(turn, [], reply, turns=0), entry)


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


def write_reply(turn: Turn, ending: Ending) -> OutboundMessage:
    """What the person gets, as one message to where they wrote."""
    return make_reply(
        turn.last,
        fit_reply(ending.text or ""),
        answers=turn.answers,
        details=ending.details,
        actions=ending.actions,
    )


def audit_turn(what: str, turn: Turn, attempts: Sequence[AttemptRecord] = (), **more: Any) -> Audit:
    """One entry of the audit log: what became of a turn, and each model call of it."""
    entry = encode_audit_entry(
        what,
        turn=turn.id,
        user=turn.route.user_id,
        workspace=turn.route.workspace_id,
        at=turn.last.received_at.isoformat(),
        attempts=[attempt.describe() for attempt in attempts],
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
        session.id,
        session.version,
        messages=[encode_message(message) for message in messages],
        keep=2 * turn.directory.agent.window,
        # After /new the fresh session has used nothing of this.
        amounts={} if session.is_over else amounts,
    )
    return write, CountUsage(turn.route.user_id, turn.route.scope, amounts)

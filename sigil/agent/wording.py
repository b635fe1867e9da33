"""What a person is told when a turn does not end in an answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil

from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    ErrorKind,
    ProviderError,
    SigilError,
)
from sigil.errors.failures import MENDED_BY_OWNER, POLICY, Told
from sigil.money.amounts import format_reset

DEAD = (
    "I failed several times to answer this message and have given up on it. "
    "Please tell the owner, or try again in other words."
)
CUT = "_The answer was cut at {limit:,} tokens._"
GO_ON = "_To go on, write: {text}_"
EMPTY = "The model gave an empty answer."
STOPPED = "_Stopped._"
TOO_LONG = "This took too long, so I stopped here."

BUSY = "The model is busy. I will answer {when}."
AWAY = "I cannot reach the model just now. I will try again {when}."
_UNKNOWN_WHEN = "as soon as I can"
_OR_LATER = ", or as soon as I can after that"

_FAILED = "I could not reach a model just now. Please try again {when}."
_SOON = "in a little while"
_NOBODY = "No model could answer."
_ONLY_OWNER = "I cannot answer just now. Only my owner can mend that,"
_OWNER_KNOWS = "and they have been told."
_TELL_OWNER = "so please tell them."
_CONTEXT = "This conversation is too long for the model. /new starts a fresh one."
_NO_BREAK = "\u00a0"  # a space at which no line ends
_NAMED_WAIT_S = 3600
_NAMED_SECONDS = 90


def explain_failure(
    error: SigilError | None, *, owner_knows: bool = False, causes: str = ""
) -> str:
    """One short honest sentence about why no model has answered; for the owner, the causes too."""
    if causes:
        return f"{_NOBODY}\n\n{causes}"
    if isinstance(error, AllProvidersUnavailable):
        if error.kinds and MENDED_BY_OWNER.issuperset(error.kinds.values()):
            return f"{_ONLY_OWNER} {_OWNER_KNOWS if owner_knows else _TELL_OWNER}"
        seconds = error.retry_in
        if seconds is not None and seconds <= _NAMED_WAIT_S:
            return _FAILED.format(when=format_reset("hour", seconds))
    if isinstance(error, ProviderError):
        told = POLICY[error.kind].told
        if told is Told.START_ANEW:
            return _CONTEXT
        if told is Told.REJECTED:
            return f"The model rejected this message ({error.kind.value.replace('_', ' ')})."
    return _FAILED.format(when=_SOON)


def explain_wait(error: AllProvidersUnavailable, seconds: float) -> str:
    """What a person is told whose message waits for a model, for about so many seconds."""
    is_busy = {ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED} & set(error.kinds.values())
    # It is said once, and an outage may last: what is said stays true then. And while somebody else
    # tries the model, nobody knows how long that takes.
    when = f"{format_wait(seconds)}{_OR_LATER}" if error.retry_in else _UNKNOWN_WHEN
    return (BUSY if is_busy else AWAY).format(when=when)


def format_wait(seconds: float, now: datetime | None = None) -> str:
    """Says when a wait is over: `in about 25 s`, `in about 4 minutes`, `at 14:05 UTC`."""
    if seconds <= _NAMED_SECONDS:
        return f"in about {5 * ceil(seconds / 5)}{_NO_BREAK}s"
    if seconds <= _NAMED_WAIT_S:
        return f"in about {ceil(seconds / 60)} minutes"
    return f"at {(now or datetime.now(UTC)) + timedelta(seconds=seconds):%H:%M} UTC"


def explain_budget(error: BudgetExceeded) -> str:
    """Which budget is used up, and what helps."""
    if error.window == "session":
        return f"{error.message} /new starts a conversation with a fresh token budget."
    return error.message

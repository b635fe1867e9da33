"""What follows an attempt: the same model again, the next one, or the end of the turn.

`decide` reads the rule for the class of failure (`sigil.errors.failures.POLICY`) and nothing else
of the error but its `Retry-After`. It asks nobody and changes nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum, auto

from sigil.errors import BudgetExceeded
from sigil.errors.failures import POLICY, Again, Next
from sigil.providers.chain.attempt import AttemptResult

# Attempts with one candidate, apart from those that its further keys give.
QUICK_ATTEMPTS = 2
QUICK_PAUSE_S = (0.2, 0.6)


class Move(Enum):
    """What comes after an attempt."""

    AGAIN = auto()
    NEXT = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The move, and for AGAIN how: after `pause` seconds, under the same grant if it
    `keeps_grant`, and with `last_hope_only` only if no other candidate could answer, else NEXT."""

    move: Move
    pause: float = 0.0
    keeps_grant: bool = False
    last_hope_only: bool = False


def decide(result: AttemptResult, *, number: int, keys: int) -> Verdict:
    """Decides what follows the `number`th attempt (from 1) with a candidate that has so many
    keys. An attempt without an error was answered or cancelled, and either is the end."""
    error = result.error
    if error is None or isinstance(error, BudgetExceeded):
        return Verdict(Move.END)
    rule = POLICY[error.kind]
    if rule.next is Next.NONE:
        return Verdict(Move.END)
    if Again.WITH_ANOTHER_KEY in rule.again and number < keys:
        return Verdict(Move.AGAIN)
    if number >= QUICK_ATTEMPTS:
        return Verdict(Move.NEXT)
    if Again.SOON in rule.again and error.retry_after is None:
        pause = random.uniform(*QUICK_PAUSE_S)  # noqa: S311  # no secret
        # After a model has spoken its answer must start over in any case, and then better with
        # one that has not just broken off.
        return Verdict(Move.AGAIN, pause, keeps_grant=True, last_hope_only=result.has_spoken)
    return Verdict(Move.NEXT)

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
from sigil.providers.chain.health import SHORTEST_RETRY_AFTER_S

# Attempts with one candidate, apart from those that its further keys give.
QUICK_ATTEMPTS = 2
QUICK_PAUSE_S = (0.2, 0.6)
# A person waits at most this long because a vendor asks for it.
LONGEST_WAIT_S = 60.0


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
    jitter = random.uniform(*QUICK_PAUSE_S)  # noqa: S311  # no secret
    if Again.AS_ASKED in rule.again and error.retry_after is not None:
        if not error.retry_after <= LONGEST_WAIT_S:
            return Verdict(Move.NEXT)
        # The key rests for that long, so that asking for it any earlier would be in vain.
        wait = max(error.retry_after, SHORTEST_RETRY_AFTER_S)
        return Verdict(Move.AGAIN, wait + jitter, last_hope_only=True)
    if Again.SOON in rule.again:
        # After a model has spoken its answer must start over in any case, and then better with
        # one that has not just broken off.
        return Verdict(Move.AGAIN, jitter, keeps_grant=True, last_hope_only=result.has_spoken)
    return Verdict(Move.NEXT)

"""Waiting for a model: whether a turn waits, for how long, and what its person is told.

    no model can be called ─▶ does one rest for a cause that passes? ─▶ within the patience? ─▶ Wait
                                         │ no                                 │ no
                                         └──────────▶ the turn fails ◀────────┘

A message is stored, so its turn need not be refused because a model rests for half a minute. The
lane is given back with its head kept, and no slot is held. What follows the head waits behind it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sigil.agent import wording
from sigil.errors import AllProvidersUnavailable

if TYPE_CHECKING:
    from sigil.agent.turn import Turn
    from sigil.errors import SigilError

# Lanes that wait for the same model come back one by one, spread over this time at most.
MOST_JITTER_S = 10.0
# Who waits often waits longer each time: a vendor may say "in 1 s" again and again, and nobody
# knows how long another worker's probe takes.
FIRST_LEAST_S, LAST_LEAST_S = 1.0, 8.0
# A shorter wait shows as typing only.
TOLD_FROM_S = 10.0


@dataclass(frozen=True, slots=True)
class ModelWait:
    """A turn waits so many seconds; `notice` is what its person is told about it, if anything."""

    seconds: float
    notice: str | None


def choose_wait(turn: Turn, error: SigilError, waits: int) -> ModelWait | None:
    """How long a turn waits that no model answered because of `error`, and that has waited so often
    before; None if waiting cannot help, or not soon enough."""
    if not isinstance(error, AllProvidersUnavailable) or error.retry_in is None:
        return None
    seconds = compute_wait(error.retry_in, waits, measure_patience(turn, datetime.now(UTC)))
    if seconds is None:
        return None
    is_long = seconds >= TOLD_FROM_S or _waited_least(waits) >= TOLD_FROM_S
    return ModelWait(seconds, wording.explain_wait(error, seconds) if is_long else None)


def compute_wait(rest: float, waits: int, left: float) -> float | None:
    """The seconds until a turn tries again; None if its patience is over before a model may be
    called. `rest`: the first model may be called after so many seconds; `waits`: how often the turn
    has waited; `left`: so many seconds of its patience are left."""
    if rest >= left:
        return None
    seconds = max(rest, _find_least(waits))
    return seconds + random.uniform(0, min(seconds, MOST_JITTER_S))  # noqa: S311  # no secret


def measure_patience(turn: Turn, now: datetime) -> float:
    """How many seconds the turn may still wait, from the arrival of its first message on. The time
    of its arrival may be a platform's, whose clock may be ahead."""
    patience = turn.directory.model_settings.patience
    waited = (now - turn.messages[0].received_at).total_seconds()
    return patience - max(0.0, waited)


def _waited_least(waits: int) -> float:
    """The least that a turn has waited so far, in seconds."""
    return sum(map(_find_least, range(waits)))


def _find_least(waits: int) -> float:
    """The least that a turn waits that has waited so often before."""
    return float(min(FIRST_LEAST_S * 2 ** min(waits, 10), LAST_LEAST_S))

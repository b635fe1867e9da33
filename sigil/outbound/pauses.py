"""How long to wait before something is sent again, in seconds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import structlog

from sigil.errors import AccountRefused

if TYPE_CHECKING:
    from sigil.channels.account_rests import RestKind
    from sigil.errors import SendFailed

log = structlog.get_logger(__name__)

FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 60.0
# A platform that asks for more is tried after this all the same: one wrong number must not silence
# a destination for a year.
LONGEST_PAUSE_S = 86_400.0
# So often a platform may ask for a pause of no length before the pauses are made longer.
MOST_QUICK_WAITS = 5
# Lanes that wait for the same account come back over this time, not all at once.
SPREAD_S = 1.0


def choose_pause(attempts: int) -> float:
    """The pause after so many attempts: longer each time."""
    return min(LAST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (attempts - 1))


def choose_asked_pause(message_id: str, asked: float, waits: int) -> float:
    """The pause that the platform asks for, the `waits`th one in succession for a message."""
    pause = bound_pause(message_id, asked)
    log.info("the platform asks for a pause", message_id=message_id, seconds=pause)
    if waits <= MOST_QUICK_WAITS:
        return pause
    return max(pause, choose_pause(waits - MOST_QUICK_WAITS))


def bound_pause(message_id: str, asked: float) -> float:
    """The pause that the platform asks for, within reason."""
    if 0 <= asked <= LONGEST_PAUSE_S:
        return asked
    pause = 0.0 if asked < 0 else LONGEST_PAUSE_S
    log.warning(
        "the platform asks for a strange pause", message_id=message_id, asked=asked, kept=pause
    )
    return pause


def choose_rest(error: SendFailed) -> RestKind:
    """Why the account rests after this."""
    if isinstance(error, AccountRefused):
        return "refused"
    return "away" if error.retry_after is None else "limited"


def choose_spread() -> float:
    """What a lane waits besides, when many wait for the same."""
    return random.random() * SPREAD_S  # noqa: S311  # no secret

"""When the next message may go out: what platforms allow per chat and per account, kept by all
outbound workers together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PaceTurn:
    """Whether it is a message's turn: in `seconds` from now. If that is `SHORT_WAIT_S` at most, the
    message is to go out then, and nothing else has that time. Otherwise one has to ask again then.

    `has_rested`: the account rests, or has rested and nothing was sent since (see
    `sigil.channels.account_rests`).
    """

    seconds: float
    has_rested: bool = False


SHORT_WAIT_S = 0.05
"""For longer than this nobody waits with a lane in hand."""


class Paces(Protocol):
    """Keeps the pauses between messages. Every method may raise `StoreError`."""

    async def take_turn(
        self, entry: str, chat: str, *, chat_s: float, account_s: float
    ) -> PaceTurn:
        """The turn of the next message to `chat` of the account that is configured as `entry`:
        `chat_s` seconds after the last one there, and `account_s` after the last one of the whole
        account. A chat that has to wait for the account keeps one place in the row, so that each
        chat comes to its turn, however many messages wait for another."""
        ...

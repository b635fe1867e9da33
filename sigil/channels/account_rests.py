"""Accounts to which nothing is sent for a while, as all outbound workers know them.

    limited   the platform asks the whole account to pause          for as long as it asks
    away      the platform cannot be reached                        5 s, doubling to 1 min
    refused   a bad token, a missing permission: somebody must      1 min, doubling to 10 min
              mend it

No message is lost by it: lanes wait until the rest is over, and then the next message is the try
that shows whether the account works again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

RestKind = Literal["limited", "away", "refused"]


@dataclass(frozen=True, slots=True)
class AccountRest:
    """The rest of the account that is configured as `entry`, for `seconds` more; at 0 it is over
    and nothing has been sent since. `why` is for people, without secrets. `times` counts the rests
    of this kind, one after the other."""

    entry: str
    kind: RestKind
    seconds: float
    why: str
    times: int = 1


class AccountRests(Protocol):
    """Keeps who rests. Every method may raise `StoreError`.

    Every lease that is taken tells whether there may be anything to find (see `Lease.rests`), so
    that nobody asks while all is well.
    """

    async def begin(
        self, entry: str, kind: RestKind, why: str, *, seconds: float | None = None
    ) -> float:
        """Lets an account rest for `seconds`, or for as long as its kind says; returns how long it
        rests from now. One that rests already is left alone, unless it is to rest for longer."""
        ...

    async def find(self, entry: str) -> AccountRest | None:
        """The last rest of an account; None if something was sent after it."""
        ...

    async def list(self, entries: Sequence[str]) -> list[AccountRest]:
        """What `find` gives for each of them, without those that never rested."""
        ...

    async def end(self, entry: str) -> None:
        """Something was sent: the account works."""
        ...

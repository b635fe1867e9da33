"""How far a mailbox has been read, as it is kept between two starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigil.channels.email.mailbox import Position


@dataclass(frozen=True, slots=True)
class Cursor:
    """`uid` is the last mail that was taken, in the numbering `validity`. `began` is when this
    account was first read, and `at` when a mail was last taken, in seconds since the epoch."""

    validity: int
    uid: int
    began: float
    at: float

    @classmethod
    def begin(cls, position: Position, now: float) -> Cursor:
        """Takes what arrives from now on. Servers keep whole seconds."""
        return cls(position.validity, position.next_uid - 1, float(int(now)) - 1.0, now)

    @classmethod
    def read(cls, text: str) -> Cursor:
        """What `write` wrote."""
        return cls(**json.loads(text))

    def write(self) -> str:
        """For `Inbox.save_cursor`."""
        return json.dumps(asdict(self))

    def advance(self, uid: int, now: float) -> Cursor:
        """The mail with this number was taken."""
        return replace(self, uid=uid, at=now)

    def renewed_from(self) -> float:
        """Since when mails may not have been taken. The server's clock may be another; what was
        taken before is recognized by its Message-ID."""
        return max(self.began, self.at - 3600.0)

    def renumber(self, position: Position) -> Cursor:
        """The server has numbered all mails anew, and those so far were looked at."""
        return replace(self, validity=position.validity, uid=position.next_uid - 1)

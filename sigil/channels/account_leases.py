"""Which process listens for an account, and how far it has come: a lease per account.

    hold(takes) ─▶ hold, every few seconds ─▶ give_up       or the lease runs out: the process died
                     │
                     ├─ save_cursor, save_last_message      only under the token that holds
                     └─ the state of the account            what `list` shows

Of all gateway processes one holds the lease of an account. Its token is made anew for each time
that a process takes the lease, so a process that froze and woke up again can write nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

State = Literal["listening", "hooks", "resting", "refused"]
"""It listens; it only receives hooks, which any gateway process does; it failed and is tried again;
the platform refuses the account, so that somebody must mend it."""

MOST_LAST_MESSAGES = 1_000


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """What the process that holds an account says of it; `id` is the configured entry.

    Times are in seconds. The state has held for `since`, the connection last showed life `silence`
    ago (None: not yet), and the next try is in `rests`. `error` says in plain words what failed
    last, until the account works again. `cursor_age` is how long ago the cursor was saved, and
    `age` how long ago all this was said. Without `is_held` nobody listens now, and the rest is what
    the last process said, if there ever was one. `unsent` is why nothing is sent for now
    (see `sigil.channels.account_rests`).
    """

    id: str
    process: str = ""
    state: State = "listening"
    since: float = 0.0
    silence: float | None = None
    error: str | None = None
    rests: float = 0.0
    is_held: bool = True
    cursor_age: float | None = None
    age: float | None = None
    unsent: str | None = None

    @property
    def works(self) -> bool:
        return self.is_held and self.error is None and self.unsent is None

    def after(self, seconds: float) -> AccountRecord:
        """The same, so much later than it was said."""
        silence = None if self.silence is None else self.silence + seconds
        rests = max(0.0, self.rests - seconds)
        since = self.since + seconds
        return replace(self, since=since, silence=silence, rests=rests, age=seconds)


class AccountLeases(Protocol):
    """The leases of all accounts, each under the name of its entry."""

    async def hold(self, record: AccountRecord, token: str, *, ttl: float, takes: bool) -> bool:
        """Extends the lease of `record.id` to `ttl` seconds from now, and writes what is said of
        the account. With `takes` it first takes the lease, if nobody has it. Answers whether the
        lease is held under this token now. A token that was given up never holds again."""
        ...

    async def give_up(self, account: str, token: str) -> None:
        """Ends the lease, if it is held under this token."""
        ...

    async def list(self, accounts: Sequence[str]) -> Sequence[AccountRecord]:
        """What is known of each of these accounts."""
        ...

    async def load_cursor(self, account: str) -> str | None: ...

    async def save_cursor(self, account: str, token: str, cursor: str) -> None:
        """Raises `LeaseLost`."""
        ...

    async def load_last_messages(self, account: str) -> Mapping[str, str]:
        """By chat, the id of the message that was saved last; at most `MOST_LAST_MESSAGES` chats,
        those in which something was saved last."""
        ...

    async def save_last_message(
        self, account: str, token: str, channel_id: str, message_id: str
    ) -> None:
        """Raises `LeaseLost`."""
        ...


def describe_trouble(record: AccountRecord, *, with_cause: bool = True) -> str:
    """Why an account does not work, as a sentence without its full stop, for people who run Sigil;
    empty if it works. Without the cause it says nothing that only they should know."""
    if record.works:
        return ""
    if not record.is_held:
        return f"nobody listens for the channel {record.id}"
    if record.error is None:
        text = f"nothing is sent to the channel {record.id} for now"
        return f"{text}: {record.unsent}" if with_cause else text
    text = f"the channel {record.id} does not listen"
    if not with_cause:
        return text
    again = (
        f"; it is tried again in {record.rests:.0f} s" if record.rests else "; it is tried again"
    )
    return f"{text}: {record.error}{again}"

"""What goes wrong on the way, and how fast a bot may write."""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.peers.telegram.limits import too_many

SENDS = frozenset(
    {"sendMessage", "sendPhoto", "sendDocument", "sendVoice", "sendAudio", "sendVideo"}
    | {"sendMediaGroup", "editMessageText"}
)
TOLERANCE_S = 0.3  # two messages that were sent a second apart may arrive less than that apart


@dataclass(frozen=True)
class Fault:
    """What becomes of one call: it is answered with `body` (an object, or text as a proxy sends
    it) and not carried out; or carried out (`does`) and then cut; or cut before. `wait` seconds
    pass first."""

    status: int = 0
    body: object = None
    cuts: bool = False
    does: bool = False
    wait: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)


RATE = "rate"
"""A random 429: the chat is closed for a while, and the server notices who does not wait."""
INTERNAL = Fault(
    500, {"ok": False, "error_code": 500, "description": "Internal Server Error: restart"}
)
CUT, DONE_THEN_CUT = Fault(cuts=True), Fault(cuts=True, does=True)


class Faults:
    """Faults that were ordered for the next calls of a method, then random ones by their shares."""

    def __init__(self) -> None:
        self._ordered: dict[str, list[Fault]] = defaultdict(list)
        self._shares: dict[str, float] = {}
        self._rng = random.Random(0)
        self.longest_wait = 2

    def order(self, method: str, *faults: Fault) -> None:
        self._ordered[method] += faults

    def set_shares(self, shares: dict[str, float], seed: int = 0, longest_wait: int = 2) -> None:
        """Shares of the calls that send, by `rate`, `internal`, `cut` and `done_then_cut`."""
        self._shares, self._rng, self.longest_wait = shares, random.Random(seed), longest_wait

    def pick(self, method: str) -> Fault | str | None:
        if self._ordered[method]:
            return self._ordered[method].pop(0)
        if method not in SENDS:
            return None
        drawn = self._rng.random()
        for name, share in self._shares.items():
            if drawn < share:
                return {"internal": INTERNAL, "cut": CUT, "done_then_cut": DONE_THEN_CUT}.get(
                    name, RATE
                )
            drawn -= share
        return None

    def pick_wait(self) -> int:
        return self._rng.randint(1, self.longest_wait)


@dataclass
class Pace:
    """About one message a second to a chat, 20 a minute to a group, 30 a second in all. None
    switches a limit off. `early` counts the calls to a chat before its `retry_after` was over."""

    chat_s: float | None = 1.0
    group_minute: int | None = 20
    account_second: int | None = 30
    early: int = 0
    _free_at: dict[int, float] = field(default_factory=dict)
    _closed_until: dict[int, float] = field(default_factory=dict)
    _sent: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    _edited: dict[int, float] = field(default_factory=dict)

    def close(self, chat: int, seconds: int) -> None:
        self._closed_until[chat] = time.monotonic() + seconds

    def check(self, chat: int, *, group: bool, edits: bool) -> None:
        """Raises a 429 if the chat or the account is written to too fast."""
        now = time.monotonic()
        if (left := self._closed_until.get(chat, 0.0) - now) > 0:
            self.early += 1
            raise too_many(math.ceil(left))
        last = self._edited if edits else self._free_at
        if self.chat_s is not None and now < last.get(chat, 0.0) + self.chat_s - TOLERANCE_S:
            self._refuse(chat, self.chat_s)
        if not edits:
            self._check_counts(chat, now, group=group)
            self._sent[chat].append(now)
            self._sent[0].append(now)
        last[chat] = now

    def _check_counts(self, chat: int, now: float, *, group: bool) -> None:
        self._sent[chat] = [at for at in self._sent[chat] if at > now - 60]
        self._sent[0] = [at for at in self._sent[0] if at > now - 1]
        sent = self._sent[chat]
        if group and self.group_minute is not None and len(sent) >= self.group_minute:
            self._refuse(chat, sent[0] + 60 - now)
        if self.account_second is not None and len(self._sent[0]) >= self.account_second:
            raise too_many(1)

    def _refuse(self, chat: int, seconds: float) -> None:
        self.close(chat, math.ceil(seconds))
        raise too_many(math.ceil(seconds))

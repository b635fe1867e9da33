"""The fleet: every process of Sigil writes down, every few seconds, that it lives and what it is.

    starts ── record, every 5 s ──▶ live ──▶ ends cleanly: its record goes
                                     │
                                     └─ writes nothing for 20 s ──▶ silent ── 10 min ──▶ forgotten

The event loop of a process writes its record. So a process that was killed falls silent, and so
does one that runs on but hangs. `sigil status`, `sigil doctor`, `/readyz` and `/metrics` show it.

Processes of several versions work side by side during an upgrade. What only newer ones understand
is done once every live one does: see `choose_lanes_per_wakeup`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sigil.config.schema import WORKER_ROLES
from sigil.lanes.effects import Stage
from sigil.lanes.lane import Wakeups

REPORT_EVERY_S = 5.0
LIVE_S = 20.0
KEPT_S = 600.0
MOST_LEFT_LANES = 10_000

WOKEN_STAGES = (Stage.ROUTE, Stage.TURN, Stage.DELIVER)
# A queue with more wake-ups than this has fallen behind its workers, and the sweep adds none to it.
MOST_WAKEUPS_WAITING = 64


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """What a process says of itself.

    `id` is made anew for each process: in containers, several may have one host name and one pid.
    `roles` are several in a worker that serves several queues. `configuration` is a digest. The
    gateway has no slots. A wake-up may name `wakeup_lanes` lanes for this process. It reads stored
    records up to version `records` (see `sigil.records`), and has left `left_lanes` lanes to a
    newer process lately.

    Times are seconds: `uptime` at its last word, which was `silence` ago. `started_at` is a Unix
    time. The store sets the last two, by its own clock.
    """

    id: str
    roles: tuple[str, ...]
    version: str
    configuration: str
    host: str
    pid: int
    slots: int = 0
    slots_in_use: int = 0
    wakeup_lanes: int = 1
    records: int = 1
    left_lanes: int = 0
    uptime: float = 0.0
    silence: float = 0.0
    started_at: float = 0.0

    @property
    def is_live(self) -> bool:
        return self.silence <= LIVE_S

    @property
    def is_worker(self) -> bool:
        return any(role in WORKER_ROLES for role in self.roles)

    @property
    def place(self) -> str:
        return f"{self.host}:{self.pid}"

    @property
    def kind(self) -> str:
        return f"{'+'.join(self.roles)}{' worker' if self.is_worker else ''}"

    def __str__(self) -> str:
        return f"{self.kind} {self.place}"


class FleetStore(Protocol):
    """The records of all processes that were heard of in the last `KEPT_S` seconds, in the order
    of their roles on a message's path."""

    async def report(self, record: ProcessRecord) -> Sequence[ProcessRecord]:
        """Writes the record of this process, and answers as `list` does."""
        ...

    async def list(self) -> Sequence[ProcessRecord]:
        """Every record, those of silent processes included."""
        ...

    async def remove(self, id: str) -> None:
        """Removes the record of a process that ends."""
        ...


class LeftLanes:
    """The lanes that this process has left to a newer one: a record in them is for newer versions
    only (see `sigil.records`)."""

    def __init__(self) -> None:
        self._left_at: dict[str, float] = {}  # by the monotonic clock, the longest ago first

    def note(self, lane: str) -> bool:
        """Notes that the lane was left. Answers whether this is the first time."""
        is_first = self._left_at.pop(lane, None) is None
        self._left_at[lane] = time.monotonic()
        if len(self._left_at) > MOST_LEFT_LANES:
            del self._left_at[next(iter(self._left_at))]
        return is_first

    def count(self) -> int:
        """How many were left in the last `LIVE_S` seconds."""
        since = time.monotonic() - LIVE_S
        return sum(left_at > since for left_at in self._left_at.values())


def choose_lanes_per_wakeup(records: Iterable[ProcessRecord]) -> int:
    """How many lanes a wake-up may name: what every live worker understands, 1 if there is none."""
    understood = (each.wakeup_lanes for each in records if each.is_live and each.is_worker)
    return max(1, min(understood, default=1))


def measure_silence(records: Iterable[ProcessRecord]) -> dict[str, float]:
    """For each role that is known, the seconds since one of its processes was last heard of."""
    silence: dict[str, float] = {}
    for record in records:
        for role in record.roles:
            silence[role] = min(record.silence, silence.get(role, record.silence))
    return silence


def find_missing_roles(records: Iterable[ProcessRecord]) -> list[str]:
    """The roles of workers that no live process serves."""
    live = {role for record in records if record.is_live for role in record.roles}
    return [role for role in WORKER_ROLES if role not in live]


def describe_missing(role: str) -> str:
    """A sentence without its full stop, for people who run Sigil."""
    return f"no {role} worker is running"


def describe_silence(record: ProcessRecord, *, with_place: bool = True) -> str:
    """Likewise."""
    who = str(record) if with_place else record.kind
    return f"{who} has been silent for {record.silence:.0f} s: it hangs or was killed"


def describe_left_lanes(record: ProcessRecord) -> str:
    """Likewise."""
    lanes = "1 lane" if record.left_lanes == 1 else f"{record.left_lanes} lanes"
    return f"{record} leaves {lanes} to a newer process: its version cannot read what lies there"


async def read_backlogs(wakeups: Wakeups) -> dict[Stage, int]:
    """How many wake-ups wait for each stage. Raises `StoreError`."""
    return {stage: await wakeups.backlog(stage) for stage in WOKEN_STAGES}

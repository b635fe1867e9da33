"""How long each stage takes, over all processes.

Worker processes expose no port. Each keeps its times in memory and adds them to sums in the
store every few seconds; any gateway's `/metrics` reads the sums of all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from sigil.effects import Stage
from sigil.errors import StoreError

STAGES = tuple(Stage)
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


class StageTimes:
    """How long stages took in this process since the last flush; bounded by its buckets."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()

    def observe(self, stage: str, seconds: float) -> None:
        """Counts one run of a stage (one of `STAGES`)."""
        if stage not in STAGES:
            raise ValueError(f"{stage!r} is not a stage")
        self._sums[f"{stage}:{bisect_left(BUCKETS_S, seconds)}"] += 1
        self._sums[f"{stage}:us"] += round(seconds * 1_000_000)

    async def flush(self, counters: CounterStore) -> None:
        """Adds what was counted to the shared sums; keeps it for the next time if the store
        is away, which is not worth an error."""
        taken, self._sums = self._sums, Counter()
        if not taken:
            return
        try:
            await counters.add(taken)
        except StoreError:
            self._sums.update(taken)


class CounterStore(Protocol):
    """Sums over all processes, for metrics; a bounded set of names."""

    async def add(self, amounts: Mapping[str, int]) -> None: ...

    async def read(self) -> Mapping[str, int]: ...

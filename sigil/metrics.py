"""How long each stage takes, over all processes.

Worker processes expose no port. Each of them keeps its times in memory and adds them to shared sums
in the store every few seconds. The `/metrics` of any gateway reads the sums of all.

The sums of a stage are a histogram: `turn:3` counts the runs that took at most the fourth of
`BUCKETS_S` and longer than the third, and `turn:us` adds up the microseconds of all runs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from sigil.errors import StoreError
from sigil.lanes.effects import Stage

STAGES = tuple(Stage)
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


class CounterStore(Protocol):
    """Sums over all processes, for metrics; a bounded set of names."""

    async def add(self, amounts: Mapping[str, int]) -> None:
        """Adds to each named sum."""
        ...

    async def read(self) -> Mapping[str, int]:
        """Every sum by its name."""
        ...


class StageTimes:
    """How long stages took in this process since the last flush. Its size is bounded by the
    number of stages and buckets."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()

    def observe(self, stage: str, seconds: float) -> None:
        """Counts one run of a stage. Raises `ValueError` if it is not one of `STAGES`."""
        if stage not in STAGES:
            raise ValueError(f"{stage!r} is not a stage")
        self._sums[f"{stage}:{bisect_left(BUCKETS_S, seconds)}"] += 1
        self._sums[f"{stage}:us"] += round(seconds * 1_000_000)

    async def flush(self, counters: CounterStore) -> None:
        """Adds the times to the shared sums. If the store is away, they are kept for the next
        flush; that is not worth an error."""
        sums, self._sums = self._sums, Counter()
        if not sums:
            return
        try:
            await counters.add(sums)
        except StoreError:
            self._sums.update(sums)

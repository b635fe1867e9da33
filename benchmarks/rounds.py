"""The figures of all rounds of the benchmark of the whole path."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass

from benchmarks.costs import Cost

WORKLOADS = {"burst": 40, "spread": 1}  # messages a session


@dataclass(frozen=True)
class Size:
    """Of a run: messages in each workload of a round, rounds, and messages when idle."""

    messages: int
    rounds: int
    idle: int


class Rounds:
    """The figures of all rounds, by workload."""

    def __init__(self) -> None:
        self.raw: list[float] = []
        self.raw_us: list[float] = []
        self.rates: dict[str, list[float]] = defaultdict(list)
        self.ratios: dict[str, list[float]] = defaultdict(list)
        self.costs: dict[str, list[Cost]] = defaultdict(list)
        self.messages = 0  # all that ended

    def add_raw(self, rate: float, cost: Cost) -> None:
        """Begins a round."""
        self.raw.append(rate)
        self.raw_us.append(cost.total_us)

    def add(self, name: str, rate: float, cost: Cost) -> None:
        """Adds a workload to the round that `add_raw` began."""
        self.rates[name].append(rate)
        self.ratios[name].append(rate / self.raw[-1])
        self.costs[name].append(cost)

    def print_figures(self) -> None:
        """Medians, and how far the rounds were apart."""
        raw = statistics.median(self.raw)
        print(
            f"raw Celery, three empty chained tasks {raw:8.1f} chains/s"
            f"   {statistics.median(self.raw_us):5.0f} us CPU a chain"
        )
        for name, each in WORKLOADS.items():
            ratios, costs = self.ratios[name], self.costs[name]
            rate, ratio = statistics.median(self.rates[name]), statistics.median(ratios)
            print(
                f"Sigil, {name:<6} ({each:2} a session)         {rate:8.1f} messages/s"
                f"   {ratio:5.2f} x raw ({min(ratios):.2f} to {max(ratios):.2f})"
            )
            parts = {
                process: statistics.median(cost.cpu_us[process] for cost in costs)
                for process in costs[0].cpu_us
            }
            listed = ", ".join(f"{process} {us:.0f}" for process, us in parts.items())
            total = statistics.median(cost.total_us for cost in costs)
            commands = statistics.median(cost.commands for cost in costs)
            scripts = statistics.median(cost.scripts for cost in costs)
            print(f"  a message: {total:.0f} us CPU = {listed}")
            print(f"             {commands:.1f} Redis commands, in {scripts:.1f} scripts or alone")

    def sum_up(self) -> dict[str, float]:
        """For the JSON line. CPU and commands of burst have the short names."""
        figures = {f"{name}_ratio": statistics.median(self.ratios[name]) for name in WORKLOADS}
        for name, ending in (("burst", ""), ("spread", "_spread")):
            costs = self.costs[name]
            figures[f"cpu_us{ending}"] = statistics.median(cost.total_us for cost in costs)
            figures[f"commands{ending}"] = statistics.median(cost.commands for cost in costs)
        return {name: round(figure, 3) for name, figure in figures.items()}

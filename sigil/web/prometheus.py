"""What Prometheus is told: how messages ended, how many wait, how long each stage takes, which
models rest, how much money is spent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from sigil.metrics import BUCKETS_S, STAGES
from sigil.money.store import Limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sigil.money.store import Spending
    from sigil.providers.chain.health_store import Cooldown
    from sigil.stores.base import Stores

OUTCOMES = ("accepted", "duplicate", "answered", "refused", "stopped", "dead")
_ENDS = ("answered", "refused", "stopped", "dead")
# Names of models can come from people's choices; the metrics stay readable all the same.
_MOST_RESTING = 100


async def exposition(stores: Stores) -> tuple[bytes, str]:
    """The body of `/metrics` and its content type. Raises `StoreError`."""
    days = await stores.lanes.counts()
    times = await stores.counters.read()
    resting = await stores.health.list_cooldowns()
    money = await stores.budgets.spending([Limit("all")])
    registry = CollectorRegistry(auto_describe=False)
    families = (_messages(days), _waiting(days), _stages(times), *_health(resting), _money(money))
    registry.register(_Snapshot(families))
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Snapshot:
    """A collector of what was read just now."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _messages(days: Mapping[str, Mapping[str, int]]) -> Metric:
    family = CounterMetricFamily(
        "sigil_messages",
        "Messages accepted and how they ended, since midnight UTC",
        labels=["outcome"],
    )
    # Only the newest day: a sum over the days kept would fall when the oldest one expires, and
    # Prometheus would take that for a restart from zero. A real start from zero it understands.
    newest = days[max(days)] if days else {}
    for outcome in OUTCOMES:
        family.add_metric([outcome], newest.get(outcome, 0))
    return family


def _waiting(days: Mapping[str, Mapping[str, int]]) -> Metric:
    open_ = sum(
        day.get("accepted", 0) - sum(day.get(end, 0) for end in _ENDS) for day in days.values()
    )
    family = GaugeMetricFamily("sigil_messages_waiting", "Accepted messages without an outcome yet")
    family.add_metric([], max(0, open_))
    return family


def _stages(times: Mapping[str, int]) -> Metric:
    family = HistogramMetricFamily(
        "sigil_stage_seconds", "How long one run of a stage takes", labels=["stage"]
    )
    bounds = [*map(str, BUCKETS_S), "+Inf"]
    for stage in STAGES:
        total, buckets = 0, []
        for at, bound in enumerate(bounds):
            total += times.get(f"{stage}:{at}", 0)
            buckets.append((bound, total))
        family.add_metric([stage], buckets, sum_value=times.get(f"{stage}:us", 0) / 1_000_000)
    return family


def _health(resting: Iterable[Cooldown]) -> Iterator[Metric]:
    """Keys are not told apart: of those that rest for one reason, the longest."""
    seconds: dict[tuple[str, str, str], float] = {}
    keys: Counter[tuple[str, str]] = Counter()
    for cooldown in resting:
        model = (cooldown.provider, cooldown.model)
        if model not in keys and len(keys) == _MOST_RESTING:
            continue
        keys[model] += 1
        labels = (*model, cooldown.reason)
        seconds[labels] = max(cooldown.seconds, seconds.get(labels, 0.0))
    cooldowns = GaugeMetricFamily(
        "sigil_provider_cooldown_seconds",
        "How long a model still rests; 0: it waits for its probe",
        labels=["provider", "model", "reason"],
    )
    for labels, left in seconds.items():
        cooldowns.add_metric(labels, left)
    yield cooldowns
    count = GaugeMetricFamily(
        "sigil_provider_keys_resting",
        "Keys under which a model rests or waits for its probe",
        labels=["provider", "model"],
    )
    for model, number in keys.items():
        count.add_metric(model, number)
    yield count


def _money(windows: Iterable[Spending]) -> Metric:
    family = GaugeMetricFamily(
        "sigil_budget_dollars",
        "US dollars spent and reserved in the running hour and day (UTC), over everything",
        labels=["window", "state"],
    )
    for window in windows:
        family.add_metric([window.window, "spent"], window.spent / 1_000_000)
        family.add_metric([window.window, "reserved"], window.reserved / 1_000_000)
    return family

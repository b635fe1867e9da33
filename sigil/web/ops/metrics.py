"""What Prometheus scrapes: how messages ended, how many wait, how long each stage takes, which
models rest, how much money was spent, which processes live, and how far they are behind."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from sigil.config.schema import WORKER_ROLES, ProcessRole
from sigil.errors import StoreDenied, StoreError, StoreFull, StoreReadOnly
from sigil.lanes.effects import Outcome
from sigil.lanes.fleet import read_backlogs
from sigil.metrics import BUCKETS_S, STAGES
from sigil.money.store import Limit
from sigil.web.ops.account_metrics import measure_accounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sigil.lanes.effects import Stage
    from sigil.lanes.fleet import ProcessRecord
    from sigil.lanes.lane import Wakeups
    from sigil.money.store import Spending
    from sigil.providers.chain.health_store import Cooldown
    from sigil.stores.base import Backend, Stores

# People can choose models by name, so the number of models here has to be limited.
_MAX_RESTING_MODELS = 100


class Metrics:
    """What is measured, read anew for each scrape from the stores that know it."""

    def __init__(self, stores: Stores, wakeups: Wakeups, accounts: Sequence[str] = ()) -> None:
        self._stores = stores
        self._wakeups = wakeups
        self._accounts = accounts

    async def render(self) -> tuple[bytes, str]:
        """The body of `/metrics` and its content type. Raises `StoreError`."""
        stores = self._stores
        days = await stores.lanes.counts()
        families = [_count_messages(days), _count_open_messages(days), _count_replies(days)]
        families.append(_measure_stages(await stores.counters.read()))
        families.append(_count_waits(await stores.lanes.list_waits()))
        families += _list_cooldowns(await stores.health.list_cooldowns())
        families.append(_sum_money(await stores.budgets.read_spending([Limit("all")])))
        families += _count_processes(await stores.fleet.list())
        families += measure_accounts(await stores.accounts.list(self._accounts))
        families.append(_count_wakeups(await read_backlogs(self._wakeups)))
        families += await _examine_store(stores.backend)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Snapshot(families))
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Snapshot:
    """A collector whose metrics were read just now."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _count_messages(days: Mapping[str, Mapping[str, int]]) -> Metric:
    family = CounterMetricFamily(
        "sigil_messages",
        "Messages accepted and how they ended, since midnight UTC",
        labels=["outcome"],
    )
    # Only the newest day: a sum over all stored days would fall when the oldest expires, and
    # Prometheus would take that for a restart. A count that starts at zero it understands.
    newest = days[max(days)] if days else {}
    for outcome in ("accepted", "duplicate", *Outcome):
        family.add_metric([outcome], newest.get(outcome, 0))
    return family


def _count_open_messages(days: Mapping[str, Mapping[str, int]]) -> Metric:
    open_ = sum(
        day.get("accepted", 0) - sum(day.get(end, 0) for end in Outcome) for day in days.values()
    )
    family = GaugeMetricFamily("sigil_messages_waiting", "Accepted messages without an outcome yet")
    family.add_metric([], max(0, open_))
    return family


def _count_replies(days: Mapping[str, Mapping[str, int]]) -> Metric:
    # A gauge: a message that is reported as not delivered after all counts as sent no more.
    family = GaugeMetricFamily(
        "sigil_replies",
        "Messages to chats since midnight UTC: all, sent, and undelivered",
        labels=["outcome"],
    )
    newest = days[max(days)] if days else {}
    for label, counter in (("all", "replies"), ("sent", "sent"), ("undelivered", "undelivered")):
        family.add_metric([label], newest.get(counter, 0))
    return family


def _count_waits(waits: Sequence[float]) -> Metric:
    family = GaugeMetricFamily(
        "sigil_conversations_waiting", "Conversations that wait for a model that rests"
    )
    family.add_metric([], len(waits))
    return family


def _measure_stages(times: Mapping[str, int]) -> Metric:
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


def _list_cooldowns(resting: Iterable[Cooldown]) -> Iterator[Metric]:
    """Per model and reason, the longest cooldown of any key; keys are not told apart."""
    seconds: dict[tuple[str, str, str], float] = {}
    keys: Counter[tuple[str, str]] = Counter()
    for cooldown in resting:
        model = (cooldown.provider, cooldown.model)
        if model not in keys and len(keys) == _MAX_RESTING_MODELS:
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


def _sum_money(windows: Iterable[Spending]) -> Metric:
    family = GaugeMetricFamily(
        "sigil_budget_dollars",
        "US dollars spent and reserved in the running hour and day (UTC), over everything",
        labels=["window", "state"],
    )
    for window in windows:
        family.add_metric([window.window, "spent"], window.spent / 1_000_000)
        family.add_metric([window.window, "reserved"], window.reserved / 1_000_000)
    return family


def _count_processes(records: Sequence[ProcessRecord]) -> Iterator[Metric]:
    """A worker that serves several roles counts in each of them, with all its slots."""
    processes = GaugeMetricFamily(
        "sigil_processes",
        "Processes by role; silent: not heard of for 20 s, and for less than 10 minutes",
        labels=["role", "state"],
    )
    slots = GaugeMetricFamily("sigil_slots", "Slots of live workers", labels=["role"])
    in_use = GaugeMetricFamily("sigil_slots_in_use", "Those that work on a lane", labels=["role"])
    for role in get_args(ProcessRole):
        known = [each for each in records if role in each.roles]
        live = [each for each in known if each.is_live]
        processes.add_metric([role, "live"], len(live))
        processes.add_metric([role, "silent"], len(known) - len(live))
        if role in WORKER_ROLES:
            slots.add_metric([role], sum(each.slots for each in live))
            in_use.add_metric([role], sum(each.slots_in_use for each in live))
    yield from (processes, slots, in_use)


def _count_wakeups(waiting: Mapping[Stage, int]) -> Metric:
    family = GaugeMetricFamily(
        "sigil_wakeups_waiting", "Wake-ups in the broker's queue for a stage", labels=["stage"]
    )
    for stage, count in waiting.items():
        family.add_metric([stage], count)
    return family


async def _examine_store(backend: Backend) -> list[Metric]:
    memory = await backend.read_memory()
    used = GaugeMetricFamily("sigil_store_memory_bytes", "Memory that Redis uses")
    used.add_metric([], memory.used)
    limit = GaugeMetricFamily(
        "sigil_store_memory_limit_bytes", "maxmemory of Redis; 0: it has no limit"
    )
    limit.add_metric([], memory.limit)
    refusal = None
    try:
        await backend.check_room()
    except StoreError as error:
        refusal = error.code
    refuses = GaugeMetricFamily(
        "sigil_store_refuses", "1: new messages are refused, for this reason", labels=["reason"]
    )
    for kind in (StoreFull, StoreReadOnly, StoreDenied, StoreError):
        refuses.add_metric([kind.code], int(kind.code == refusal))
    return [used, limit, refuses]
